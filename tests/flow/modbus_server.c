/* A Modbus/TCP device for modbus_test.py, by libmodbus: port 0 = any; prints its port. With the path of a
 * serial line it is unit 1 there, whose upper registers are slow. Holding registers 0 to 99: known values;
 * input registers 0 to 9; coils 0 to 15; asking beyond gives an exception. Some units are odd (enum below).
 * It ends with its standard input. */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 16, SLOW_US = 100000, LATE_US = 400000, PARTLY_FROM = 60 };
enum { UNIT_SHORT = 4, UNIT_BUSY = 5, UNIT_SLOW = 6, UNIT_PARTLY = 7, UNIT_NO_PATH = 8, UNIT_SILENT = 9 };

static void put_values(modbus_mapping_t *m)
{
    const uint16_t head[] = {0xfff6, 0x0001, 0x86a0, 0x86a0,
                             0x0001}; /* -10; 100000; 100000, low word first */
    memcpy(m->tab_registers, head, sizeof head);
    /* 12.5f, then -0.25f with the low word first: libmodbus' own setters change the order of bytes in some
     * versions */
    memcpy(m->tab_registers + 10, (const uint16_t[]){0x4148, 0x0000, 0x0000, 0xbe80}, 8);
    memcpy(m->tab_registers + 20, (const uint16_t[]){0x5055, 0x4d50, 0x2d37, 0x2020}, 8); /* "PUMP-7  " */
    memcpy(m->tab_registers + 30, (const uint16_t[]){0xffff, 0xffff, 0xffff, 0xfffe}, 8);
    m->tab_registers[40] = 0x0008;
    m->tab_registers[PARTLY_FROM] = 4242;
    m->tab_input_registers[3] = 215;
    m->tab_bits[5] = 1;
}

/* Two bytes of values, however many were asked for. */
static void answer_short(int fd, const uint8_t *query)
{
    const uint8_t answer[] = {query[0], query[1], 0, 0, 0, 5, query[6], query[7], 2, 0, 1};
    if (send(fd, answer, sizeof answer, MSG_NOSIGNAL) < 0)
        perror("send");
}

/* UNIT_PARTLY has nothing to say about its upper registers. */
static void answer(modbus_t *context, int fd, const uint8_t *query, int len, modbus_mapping_t *m)
{
    unsigned unit = query[6], address = (unsigned)query[8] << 8 | query[9];
    if (unit == UNIT_SILENT || (unit == UNIT_PARTLY && address >= PARTLY_FROM))
        return;
    if (unit == UNIT_SLOW)
        usleep(SLOW_US);
    if (unit == UNIT_SHORT)
        answer_short(fd, query);
    else if (unit == UNIT_BUSY)
        modbus_reply_exception(context, query, MODBUS_EXCEPTION_SLAVE_OR_SERVER_BUSY);
    else if (unit == UNIT_NO_PATH)
        modbus_reply_exception(context, query, MODBUS_EXCEPTION_GATEWAY_TARGET);
    else
        modbus_reply(context, query, len, m);
}

static void serve(modbus_t *context, modbus_mapping_t *m, int listener)
{
    struct pollfd fds[CLIENTS + 2] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
    nfds_t n = 2;
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    while (poll(fds, n, -1) > 0 && !fds[0].revents) {
        if (fds[1].revents && n < CLIENTS + 2)
            fds[n++] = (struct pollfd){accept(listener, NULL, NULL), POLLIN, 0};
        for (nfds_t i = 2; i < n; i++) {
            if (!fds[i].revents)
                continue;
            modbus_set_socket(context, fds[i].fd);
            int len = modbus_receive(context, query);
            if (len > 0)
                answer(context, fds[i].fd, query, len, m);
            if (len < 0) {
                close(fds[i].fd);
                fds[i--] = fds[--n];
            }
        }
    }
}

static int serve_line(const char *path)
{
    modbus_t *context = modbus_new_rtu(path, 9600, 'N', 8, 1);
    modbus_mapping_t *m = modbus_mapping_new(16, 0, 100, 10);
    uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
    if (!context || !m || modbus_set_slave(context, 1) || modbus_connect(context))
        return 1;
    put_values(m);
    puts("0");
    fflush(stdout);
    struct pollfd fds[2] = {{0, POLLIN, 0}, {modbus_get_socket(context), POLLIN, 0}};
    while (poll(fds, 2, -1) > 0 && !fds[0].revents) {
        int len = modbus_receive(context, query);
        if (len > 0 && (query[2] << 8 | query[3]) >= PARTLY_FROM)
            usleep(LATE_US);
        if (len > 0)
            modbus_reply(context, query, len, m);
    }
    modbus_close(context);
    modbus_mapping_free(m);
    modbus_free(context);
    return 0;
}

static int serve_network(int argc, char **argv)
{
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *m = modbus_mapping_new(16, 0, 100, 10);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int port = 0, yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc > 1 && sscanf(argv[1], "%d", &port) != 1)
        return 2;
    at.sin_port = htons((uint16_t)port);
    if (!context || !m || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        bind(listener, (struct sockaddr *)&at, len) || listen(listener, CLIENTS) ||
        getsockname(listener, (struct sockaddr *)&at, &len))
        return 1;
    put_values(m);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    serve(context, m, listener);
    modbus_mapping_free(m);
    modbus_free(context);
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 && argv[1][0] == '/' ? serve_line(argv[1]) : serve_network(argc, argv);
}
