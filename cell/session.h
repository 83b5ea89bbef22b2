/* The cell's side of the talk with the host: the socket, both arenas, and the pst_host that the plugin sees.
 * One thread takes requests and runs the plugin's calls; logs and counters may come from any thread. */
#ifndef PENSTOCK_CELL_SESSION_H
#define PENSTOCK_CELL_SESSION_H
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "penstock/plugin.h"
#include "wire/frame.h"
#include "wire/message.h"

typedef struct session {
    pst_host host; /* host.host_data is the session */
    const pst_plugin *plugin;
    void *self; /* the plugin's object; NULL until configured */
    json_t *config;
    char *name, *workspace;
    uint32_t epoch;
    wire_arena in, out;
    atomic_bool in_call; /* the host is listening */
    atomic_uint lost_lines;
    pthread_mutex_t metrics_lock;
    frame_metric *metrics; /* n_metrics of the plugin; what was not reported yet */
    /* The model that was loaded last, and the bytes it was loaded from. */
    void *loaded, *artifact;
    size_t artifact_len;
    wire_message incoming;
    struct question *_Atomic spare; /* of question.c: kept for the next one */
} session;

void session_begin(session *s);
/* A message without a frame; the process ends if the host is gone. */
void session_say(session *s, wire_type type, const char *body);
/* Takes the next message; does not return when the host is gone or breaks the protocol. */
const wire_message *session_next(session *s);
/* A writer on the outgoing arena, empty. */
frame_writer session_writer(session *s);
/* Answers the request: the frame, the error if status < 0, and the counters since the last answer. */
void session_answer(session *s, uint64_t sequence, pst_status status, frame_writer *w,
                    const pst_error *error);
/* The frame of the message that was taken last. */
frame_reader session_frame(session *s);
/* Gives name, workspace and config to the host struct; false if the config is no JSON. */
bool session_configure(session *s, const char *name, const char *workspace, const char *config);
#endif
