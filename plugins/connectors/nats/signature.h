/* Who we are by a credentials file: a user's JWT, and the seed that signs the server's challenge. */
#ifndef NATS_SIGNATURE_H
#define NATS_SIGNATURE_H
#include <nats/nats.h>

/* Prepares the options; `text` (of the whole file) is used by the next connect, and must live as long. */
natsStatus signature_prepare(natsOptions *o, char *text);
#endif
