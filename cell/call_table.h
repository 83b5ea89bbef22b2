/* The calls of each kind, as calls.c lists them. Private to the cell. */
#ifndef PENSTOCK_CELL_CALL_TABLE_H
#define PENSTOCK_CELL_CALL_TABLE_H
#include "cell/call_arguments.h"

/* calls_connector.c */
pst_status call_open(request *q);
pst_status call_credit(request *q);
pst_status call_skip(request *q);
pst_status call_ack(request *q);
pst_status call_close(request *q);
pst_status call_receive(request *q);
pst_status call_write(request *q);
pst_status call_command(request *q);
/* calls_notifier.c */
pst_status call_send(request *q);
pst_status call_receipt(request *q);
/* calls_work.c */
pst_status call_prepare(request *q);
pst_status call_evaluate(request *q);
pst_status call_train(request *q);
pst_status call_context(request *q);
pst_status call_infer(request *q);
pst_status call_explain(request *q);
void model_forget(session *s); /* unloads it, if one is loaded */
#endif
