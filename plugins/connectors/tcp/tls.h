/* TLS 1.2 and later over a TCP connection, by OpenSSL: the far side's certificate and name are always checked. */
#ifndef CONNECTORS_TLS_H
#define CONNECTORS_TLS_H
#include "tcp.h"

/* Texts in PEM form; empty = none. Borrowed while tls_begin runs. */
typedef pst_bytes tls_pem;
typedef struct tls_trust {
    tls_pem authorities; /* none: those of the machine */
    tls_pem certificate, key;
} tls_trust;

/* The connection is open and plain; afterwards what is sent and received goes through TLS. A certificate that is
 * not trusted: PST_E_CONFIG; ours refused: PST_E_AUTH (by TLS 1.3 only the first receive tells). */
pst_status tls_begin(tcp *w, const pst_call *call, const tls_trust *trust, pst_error *error);
#endif
