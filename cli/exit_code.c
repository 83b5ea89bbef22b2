/* Exit codes from error classes, and error classes from HTTP. */
#include "exit_code.h"

int exit_code_of(status_class class)
{
    switch (class) {
    case STATUS_OK:
        return EXIT_DONE;
    case STATUS_INVALID:
        return EXIT_INVALID;
    case STATUS_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case STATUS_CONFLICT:
        return EXIT_CONFLICT;
    case STATUS_DENIED:
        return EXIT_DENIED;
    case STATUS_LIMIT:
    case STATUS_UNAVAILABLE:
    case STATUS_TIMEOUT:
        return EXIT_UNREACHABLE;
    case STATUS_CANCELLED:
        return EXIT_INTERRUPTED;
    case STATUS_UNSUPPORTED:
    case STATUS_INTERNAL:
        break;
    }
    return EXIT_FAILED;
}

status_class status_class_of_http(long http)
{
    switch (http) {
    case 401:
    case 403:
        return STATUS_DENIED;
    case 404:
    case 410:
        return STATUS_NOT_FOUND;
    case 409:
    case 412:
    case 428:
        return STATUS_CONFLICT;
    case 429:
        return STATUS_LIMIT;
    case 502:
    case 503:
        return STATUS_UNAVAILABLE;
    case 504:
        return STATUS_TIMEOUT;
    case 501:
        return STATUS_UNSUPPORTED;
    default:
        break;
    }
    if (http >= 200 && http < 300)
        return STATUS_OK;
    return http >= 400 && http < 500 ? STATUS_INVALID : STATUS_INTERNAL;
}
