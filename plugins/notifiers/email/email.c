/* One SMTP session a mail, by libcurl's MIME interface:
 *
 *   mixed ── related ── alternative ── text, html
 *      │        └────── inline images (cid:)
 *      └── attachments
 *
 * The Message-ID is made from the delivery id, so a retry after a lost answer is the same mail to the
 * receiver. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"
#include "penstock/define.h"
#include "transport.h"

enum { SECRET_MAX = 1024, ID_BYTES = 16 };

typedef struct email {
    const pst_host *host;
    const char *url, *from, *reply_to;
    bool start_tls;
    char server[256]; /* host name of the URL */
} email;

/* One mail on its way. */
typedef struct mail {
    transport t;
    curl_mime *mime;
    struct curl_slist *headers, *to;
    bool failed; /* no memory, somewhere */
} mail;

static bool is_here(const char *server)
{
    return !strcmp(server, "localhost") || !strncmp(server, "127.", 4) || !strcmp(server, "[::1]");
}

static pst_status check_addresses(const email *e, pst_error *error)
{
    if (!header_is_address(e->from))
        return pst_fail(error, PST_E_CONFIG, "/from", "that is not a mail address");
    if (e->reply_to && !header_is_address(e->reply_to))
        return pst_fail(error, PST_E_CONFIG, "/reply_to", "that is not a mail address");
    for (size_t i = 0; i < e->host->config_count(e->host, "/to"); i++) {
        char path[32];
        snprintf(path, sizeof path, "/to/%zu", i);
        const char *to = e->host->config_text(e->host, path);
        if (!to || !header_is_address(to))
            return pst_fail(error, PST_E_CONFIG, path, "that is not a mail address");
    }
    return PST_OK;
}

static bool port_fits(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    long port = digits <= 5 ? strtol(text, NULL, 10) : 0;
    return digits > 0 && !text[digits] && port > 0 && port <= 65535;
}

/* smtp://host:port or smtps://host:port and nothing more. Read here and not by libcurl, which is not loaded
 * for a configuration. */
static bool url_read(email *e, const char *url, bool *tls_out)
{
    static const char of_address[] = "0123456789abcdefABCDEF:.",
                      of_name[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._";
    *tls_out = !strncmp(url, "smtps://", 8);
    if (!*tls_out && strncmp(url, "smtp://", 7) != 0)
        return false;
    const char *host = strchr(url, '/') + 2;
    bool literal = *host == '[';
    size_t len = strspn(host + literal, literal ? of_address : of_name);
    if (len == 0 || (literal && host[1 + len] != ']'))
        return false;
    len += literal ? 2 : 0; /* with its brackets */
    if (len >= sizeof e->server)
        return false;
    snprintf(e->server, sizeof e->server, "%.*s", (int)len, host);
    return host[len] == ':' ? port_fits(host + len + 1) : !host[len];
}

static pst_status configure(email *e, pst_error *error)
{
    const char *starttls = e->host->config_text(e->host, "/starttls");
    bool tls = false;
    e->url = e->host->config_text(e->host, "/url");
    e->from = e->host->config_text(e->host, "/from");
    e->reply_to = e->host->config_text(e->host, "/reply_to");
    if (!e->url || !url_read(e, e->url, &tls))
        return pst_fail(error, PST_E_CONFIG, "/url", "smtp://host:port or smtps://host:port is expected");
    e->start_tls =
        !tls && (!strcmp(starttls, "always") || (!strcmp(starttls, "auto") && !is_here(e->server)));
    return check_addresses(e, error);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    if (sodium_init() < 0)
        return pst_fail(error, PST_E_INTERNAL, NULL, "libsodium does not start");
    email *e = calloc(1, sizeof *e);
    if (!e)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    e->host = host;
    pst_status st = configure(e, error);
    if (st)
        free(e);
    else
        *self = e;
    return st;
}

/* ---- Headers ---- */

static void add(mail *m, struct curl_slist **list, const char *name, const char *value)
{
    char line[HEADER_VALUE_MAX + 64];
    snprintf(line, sizeof line, "%s%s%s", name, *name ? ": " : "", value);
    struct curl_slist *longer = curl_slist_append(*list, line);
    m->failed = m->failed || !longer;
    *list = longer ? longer : *list;
}

/* <hash of the delivery id @ domain of the sender> */
static void message_id(const email *e, const char *delivery, char *out, size_t cap)
{
    unsigned char hash[ID_BYTES];
    char hex[2 * ID_BYTES + 1];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)delivery, strlen(delivery), NULL, 0);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    snprintf(out, cap, "<%s%s>", hex, strchr(e->from, '@'));
}

static void add_recipients(const email *e, mail *m)
{
    size_t n = e->host->config_count(e->host, "/to"), at = 0;
    char path[32], all[HEADER_VALUE_MAX] = "";
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/to/%zu", i);
        const char *to = e->host->config_text(e->host, path);
        char address[300];
        snprintf(address, sizeof address, "<%s>", to);
        add(m, &m->to, "", address);
        if (at + strlen(to) + 8 < sizeof all) /* beyond that the header does not list them */
            at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", at ? ",\r\n " : "", to);
    }
    add(m, &m->headers, "To", all);
}

static void add_headers(const email *e, const pst_message *message, const char *id, mail *m)
{
    char value[HEADER_VALUE_MAX], from[HEADER_VALUE_MAX], name[512], date[64];
    const char *from_name = e->host->config_text(e->host, "/from_name");
    header_text(message->title ? message->title : "", value, sizeof value);
    add(m, &m->headers, "Subject", value);
    header_text(from_name ? from_name : "", name, sizeof name);
    bool quote = *name && !strstr(name, "=?");
    for (char *c = name; *c && quote; c++)
        *c = (char)(*c == '"' || *c == '\\' ? '\'' : *c);
    snprintf(from, sizeof from, "%s%s%s <%s>", quote ? "\"" : "", name, quote ? "\"" : "", e->from);
    add(m, &m->headers, "From", from);
    add_recipients(e, m);
    if (e->reply_to)
        add(m, &m->headers, "Reply-To", e->reply_to);
    header_date(e->host->wall_us(e->host), date, sizeof date);
    add(m, &m->headers, "Date", date);
    add(m, &m->headers, "Message-ID", id);
    if (message->update_of && message->update_of[0] == '<' && transport_is_line(message->update_of)) {
        header_text(message->update_of, value, sizeof value);
        add(m, &m->headers, "In-Reply-To", value);
        add(m, &m->headers, "References", value);
    }
    add(m, &m->headers, "Auto-Submitted", "auto-generated");
    if (message->severity == PST_SEVERITY_CRITICAL)
        add(m, &m->headers, "X-Priority", "1");
}

/* ---- Body ---- */

static curl_mimepart *part_text(mail *m, curl_mime *parent, const char *text, const char *type)
{
    curl_mimepart *part = curl_mime_addpart(parent);
    m->failed = m->failed || !part || curl_mime_data(part, text, CURL_ZERO_TERMINATED) ||
                curl_mime_type(part, type) || curl_mime_encoder(part, "quoted-printable");
    return part;
}

/* A name or a type without anything that could end its header. */
static void clean(const char *text, char *out, size_t cap)
{
    snprintf(out, cap, "%s", text ? text : "");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '"' || *c == '<' || *c == '>')
            *c = '_';
}

static void part_file(mail *m, curl_mime *parent, const pst_attachment *a)
{
    char name[256], type[128], id[256], line[300];
    clean(a->name, name, sizeof name);
    clean(a->content_type && *a->content_type ? a->content_type : "application/octet-stream", type,
          sizeof type);
    curl_mimepart *part = curl_mime_addpart(parent);
    m->failed = m->failed || !part || curl_mime_data(part, a->data.data ? a->data.data : "", a->data.len) ||
                curl_mime_filename(part, name) || curl_mime_type(part, type) ||
                curl_mime_encoder(part, "base64");
    if (m->failed || !a->content_id)
        return;
    clean(a->content_id, id, sizeof id);
    snprintf(line, sizeof line, "Content-ID: <%s>", id);
    struct curl_slist *list = curl_slist_append(NULL, line);
    struct curl_slist *longer = list ? curl_slist_append(list, "Content-Disposition: inline") : NULL;
    m->failed = !longer || curl_mime_headers(part, list, 1);
    if (m->failed)
        curl_slist_free_all(list);
}

static curl_mime *part_group(mail *m, curl_mime *parent, const char *type)
{
    curl_mime *group = curl_mime_init(m->t.curl);
    curl_mimepart *part = group ? curl_mime_addpart(parent) : NULL;
    if (!part || curl_mime_subparts(part, group)) {
        curl_mime_free(group);
        m->failed = true;
        return parent;
    }
    m->failed = m->failed || curl_mime_type(part, type);
    return group;
}

static void add_body(const pst_message *message, mail *m)
{
    bool inline_images = false;
    m->mime = curl_mime_init(m->t.curl);
    m->failed = m->failed || !m->mime;
    for (size_t i = 0; i < message->n_attachments; i++)
        inline_images = inline_images || message->attachments[i].content_id;
    if (m->failed)
        return;
    curl_mime *related = inline_images ? part_group(m, m->mime, "multipart/related") : m->mime;
    curl_mime *words = message->html ? part_group(m, related, "multipart/alternative") : related;
    part_text(m, words, message->text ? message->text : "", "text/plain; charset=utf-8");
    if (message->html)
        part_text(m, words, message->html, "text/html; charset=utf-8");
    for (size_t i = 0; i < message->n_attachments && !m->failed; i++)
        part_file(m, message->attachments[i].content_id ? related : m->mime, &message->attachments[i]);
}

/* ---- Sending ---- */

static pst_status log_in(const email *e, const pst_call *call, mail *m, pst_error *error)
{
    char password[SECRET_MAX];
    size_t len = 0;
    const char *user = e->host->config_text(e->host, "/username");
    if (!user)
        return PST_OK;
    pst_status st = e->host->secret(e->host, call, "/password", password, sizeof password, &len, error);
    if (!st && (curl_easy_setopt(m->t.curl, CURLOPT_USERNAME, user) ||
                curl_easy_setopt(m->t.curl, CURLOPT_PASSWORD, password)))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    sodium_memzero(password, sizeof password);
    return st;
}

static pst_status begin(const email *e, const pst_call *call, mail *m, pst_error *error)
{
    pst_status st = transport_begin(&m->t, e->host, "smtp,smtps", error);
    if (st)
        return st;
    m->failed = curl_easy_setopt(m->t.curl, CURLOPT_URL, e->url) ||
                curl_easy_setopt(m->t.curl, CURLOPT_USE_SSL,
                                 (long)(e->start_tls ? CURLUSESSL_ALL : CURLUSESSL_NONE)) ||
                curl_easy_setopt(m->t.curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    return log_in(e, call, m, error);
}

/* What a failed session means: the server's last refusal says more than libcurl's code. */
static pst_status judge(const email *e, const mail *m, pst_status st, pst_error *error)
{
    const char *said = m->t.refusal;
    if (st != PST_E_UNAVAILABLE || m->t.refusals == 0)
        return st;
    error->vendor_code = atoi(said);
    if (!strncmp(said, "530", 3) || !strncmp(said, "534", 3) || !strncmp(said, "535", 3))
        return pst_fail(error, PST_E_AUTH, NULL, "%s refuses us: %s", e->server, said);
    if (!strncmp(said, "550", 3) || !strncmp(said, "551", 3) || !strncmp(said, "553", 3))
        return pst_fail(error, PST_E_CONFIG, "/to", "%s refuses the sender or every recipient: %s", e->server,
                        said);
    if (said[0] == '5')
        return pst_fail(error, PST_E_DATA, NULL, "%s does not take this mail: %s", e->server, said);
    return st;
}

static pst_status transfer(const email *e, const pst_call *call, mail *m, pst_error *error)
{
    long answer = 0;
    m->failed = m->failed || curl_easy_setopt(m->t.curl, CURLOPT_MAIL_FROM, e->from) ||
                curl_easy_setopt(m->t.curl, CURLOPT_MAIL_RCPT, m->to) ||
                curl_easy_setopt(m->t.curl, CURLOPT_HTTPHEADER, m->headers) ||
                curl_easy_setopt(m->t.curl, CURLOPT_MIMEPOST, m->mime);
    if (m->failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the mail");
    pst_status st = judge(e, m, transport_run(&m->t, call, e->server, &answer, error), error);
    if (!st && m->t.refusals) {
        pst_field said = {"answer", m->t.refusal};
        e->host->log(e->host, PST_LOG_WARN, "the mail went out, but not to every recipient", &said, 1);
    }
    return st;
}

static void mail_free(mail *m)
{
    curl_mime_free(m->mime);
    transport_end(&m->t);
    curl_slist_free_all(m->headers);
    curl_slist_free_all(m->to);
}

static pst_status on_send(void *self, const pst_call *call, const pst_message *message,
                          pst_delivery *delivery, pst_error *error)
{
    const email *e = self;
    mail m = {0};
    pst_status st = begin(e, call, &m, error);
    if (!st) {
        message_id(e, message->delivery_id ? message->delivery_id : "", delivery->external_id,
                   sizeof delivery->external_id);
        add_headers(e, message, delivery->external_id, &m);
        add_body(message, &m);
        st = transfer(e, call, &m, error);
    }
    delivery->state = PST_DELIVERY_DONE;
    mail_free(&m);
    return st;
}

/* "Test connection": greets, encrypts, logs in, asks for nothing. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    const email *e = self;
    mail m = {0};
    long answer = 0;
    pst_status st = begin(e, call, &m, error);
    if (!st) {
        curl_easy_setopt(m.t.curl, CURLOPT_CUSTOMREQUEST, "NOOP");
        curl_easy_setopt(m.t.curl, CURLOPT_NOBODY, 1L);
        st = judge(e, &m, transport_run(&m.t, call, e->server, &answer, error), error);
    }
    mail_free(&m);
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_send send = {sizeof send, 0, on_send};
    static const pst_check check = {sizeof check, 0, on_check};
    if (!strcmp(id, PST_IF_SEND))
        return &send;
    return !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.notifier.email", .kind = PST_KIND_NOTIFIER, .version = "1.0.0",
           .title = "E-mail", .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create,
           .destroy = free);
