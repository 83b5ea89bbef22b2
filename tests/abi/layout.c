/* Prints size and field offsets of every struct of the ABI; compared with sdk/abi/v1.0/layout.lock by a test.
 * Also compiled as C++17, which must give the same. Machines: x86-64 and arm64 lay these structs out alike.
 */
#include <stddef.h>
#include <stdio.h>

#include "penstock/batch.h"
#include "penstock/plugin.h"

#define STRUCT(s) printf("%s %zu\n", #s, sizeof(s))
#define FIELD(s, f) printf("  %s %zu\n", #f, offsetof(s, f))

static void print_pst_error(void)
{
    STRUCT(pst_error);
    FIELD(pst_error, struct_size);
    FIELD(pst_error, vendor_code);
    FIELD(pst_error, retry_after_ms);
    FIELD(pst_error, where);
    FIELD(pst_error, message);
}

static void print_pst_bytes(void)
{
    STRUCT(pst_bytes);
    FIELD(pst_bytes, data);
    FIELD(pst_bytes, len);
}

static void print_pst_field(void)
{
    STRUCT(pst_field);
    FIELD(pst_field, key);
    FIELD(pst_field, value);
}

static void print_pst_blob(void)
{
    STRUCT(pst_blob);
    FIELD(pst_blob, struct_size);
    FIELD(pst_blob, flags);
    FIELD(pst_blob, data);
    FIELD(pst_blob, len);
    FIELD(pst_blob, release);
    FIELD(pst_blob, private_data);
}

static void print_pst_call(void)
{
    STRUCT(pst_call);
    FIELD(pst_call, struct_size);
    FIELD(pst_call, cancel_fd);
    FIELD(pst_call, deadline_us);
    FIELD(pst_call, subject);
    FIELD(pst_call, work_id);
    FIELD(pst_call, trace);
}

static void print_pst_reject(void)
{
    STRUCT(pst_reject);
    FIELD(pst_reject, payload);
    FIELD(pst_reject, where);
    FIELD(pst_reject, reason);
}

static void print_pst_batch(void)
{
    STRUCT(pst_batch);
    FIELD(pst_batch, struct_size);
    FIELD(pst_batch, flags);
    FIELD(pst_batch, schema);
    FIELD(pst_batch, array);
    FIELD(pst_batch, stream);
    FIELD(pst_batch, cursor);
    FIELD(pst_batch, rejects);
    FIELD(pst_batch, n_rejects);
    FIELD(pst_batch, next_in_ms);
    FIELD(pst_batch, reserved);
}

static void print_pst_input(void)
{
    STRUCT(pst_input);
    FIELD(pst_input, name);
    FIELD(pst_input, schema);
    FIELD(pst_input, array);
}

static void print_pst_metric(void)
{
    STRUCT(pst_metric);
    FIELD(pst_metric, name);
    FIELD(pst_metric, unit);
    FIELD(pst_metric, help);
    FIELD(pst_metric, kind);
    FIELD(pst_metric, reserved);
}

static void print_pst_host(void)
{
    STRUCT(pst_host);
    FIELD(pst_host, struct_size);
    FIELD(pst_host, abi_minor);
    FIELD(pst_host, host_data);
    FIELD(pst_host, instance_name);
    FIELD(pst_host, workspace);
    FIELD(pst_host, get_service);
    FIELD(pst_host, now_us);
    FIELD(pst_host, wall_us);
    FIELD(pst_host, cancelled);
    FIELD(pst_host, log);
    FIELD(pst_host, observe);
    FIELD(pst_host, config_has);
    FIELD(pst_host, config_text);
    FIELD(pst_host, config_int);
    FIELD(pst_host, config_real);
    FIELD(pst_host, config_flag);
    FIELD(pst_host, config_count);
    FIELD(pst_host, config_key);
    FIELD(pst_host, secret);
}

static void print_pst_plugin(void)
{
    STRUCT(pst_plugin);
    FIELD(pst_plugin, struct_size);
    FIELD(pst_plugin, abi_minor);
    FIELD(pst_plugin, id);
    FIELD(pst_plugin, kind);
    FIELD(pst_plugin, version);
    FIELD(pst_plugin, title);
    FIELD(pst_plugin, licence);
    FIELD(pst_plugin, config_schema);
    FIELD(pst_plugin, metrics);
    FIELD(pst_plugin, n_metrics);
    FIELD(pst_plugin, get_interface);
    FIELD(pst_plugin, create);
    FIELD(pst_plugin, destroy);
}

static void print_pst_source(void)
{
    STRUCT(pst_source);
    FIELD(pst_source, struct_size);
    FIELD(pst_source, flags);
    FIELD(pst_source, open);
    FIELD(pst_source, read);
    FIELD(pst_source, ack);
    FIELD(pst_source, close);
    FIELD(pst_source, skip);
}

static void print_pst_request(void)
{
    STRUCT(pst_request);
    FIELD(pst_request, struct_size);
    FIELD(pst_request, flags);
    FIELD(pst_request, method);
    FIELD(pst_request, path);
    FIELD(pst_request, query);
    FIELD(pst_request, headers);
    FIELD(pst_request, n_headers);
    FIELD(pst_request, body);
}

static void print_pst_reply(void)
{
    STRUCT(pst_reply);
    FIELD(pst_reply, struct_size);
    FIELD(pst_reply, http_status);
    FIELD(pst_reply, content_type);
    FIELD(pst_reply, body);
}

static void print_pst_push(void)
{
    STRUCT(pst_push);
    FIELD(pst_push, struct_size);
    FIELD(pst_push, flags);
    FIELD(pst_push, receive);
    FIELD(pst_push, next);
}

static void print_pst_sink(void)
{
    STRUCT(pst_sink);
    FIELD(pst_sink, struct_size);
    FIELD(pst_sink, flags);
    FIELD(pst_sink, write);
}

static void print_pst_command_result(void)
{
    STRUCT(pst_command_result);
    FIELD(pst_command_result, struct_size);
    FIELD(pst_command_result, state);
    FIELD(pst_command_result, external_id);
    FIELD(pst_command_result, reply);
}

static void print_pst_command(void)
{
    STRUCT(pst_command);
    FIELD(pst_command, struct_size);
    FIELD(pst_command, flags);
    FIELD(pst_command, list);
    FIELD(pst_command, send);
    FIELD(pst_command, fetch);
    FIELD(pst_command, find);
    FIELD(pst_command, cancel);
}

static void print_pst_discover(void)
{
    STRUCT(pst_discover);
    FIELD(pst_discover, struct_size);
    FIELD(pst_discover, flags);
    FIELD(pst_discover, discover);
}

static void print_pst_check(void)
{
    STRUCT(pst_check);
    FIELD(pst_check, struct_size);
    FIELD(pst_check, flags);
    FIELD(pst_check, check);
}

static void print_pst_attachment(void)
{
    STRUCT(pst_attachment);
    FIELD(pst_attachment, name);
    FIELD(pst_attachment, content_type);
    FIELD(pst_attachment, content_id);
    FIELD(pst_attachment, data);
}

static void print_pst_message(void)
{
    STRUCT(pst_message);
    FIELD(pst_message, struct_size);
    FIELD(pst_message, severity);
    FIELD(pst_message, at_us);
    FIELD(pst_message, delivery_id);
    FIELD(pst_message, update_of);
    FIELD(pst_message, title);
    FIELD(pst_message, text);
    FIELD(pst_message, html);
    FIELD(pst_message, json);
    FIELD(pst_message, labels);
    FIELD(pst_message, n_labels);
    FIELD(pst_message, attachments);
    FIELD(pst_message, n_attachments);
}

static void print_pst_delivery(void)
{
    STRUCT(pst_delivery);
    FIELD(pst_delivery, struct_size);
    FIELD(pst_delivery, state);
    FIELD(pst_delivery, external_id);
}

static void print_pst_send(void)
{
    STRUCT(pst_send);
    FIELD(pst_send, struct_size);
    FIELD(pst_send, flags);
    FIELD(pst_send, send);
}

static void print_pst_receipt(void)
{
    STRUCT(pst_receipt);
    FIELD(pst_receipt, external_id);
    FIELD(pst_receipt, state);
    FIELD(pst_receipt, reserved);
    FIELD(pst_receipt, at_us);
}

static void print_pst_receipts(void)
{
    STRUCT(pst_receipts);
    FIELD(pst_receipts, struct_size);
    FIELD(pst_receipts, flags);
    FIELD(pst_receipts, receive);
}

static void print_pst_metric_engine(void)
{
    STRUCT(pst_metric_engine);
    FIELD(pst_metric_engine, struct_size);
    FIELD(pst_metric_engine, flags);
    FIELD(pst_metric_engine, prepare);
    FIELD(pst_metric_engine, evaluate);
    FIELD(pst_metric_engine, discard);
}

static void print_pst_train(void)
{
    STRUCT(pst_train);
    FIELD(pst_train, struct_size);
    FIELD(pst_train, flags);
    FIELD(pst_train, train);
}

static void print_pst_infer(void)
{
    STRUCT(pst_infer);
    FIELD(pst_infer, struct_size);
    FIELD(pst_infer, flags);
    FIELD(pst_infer, context_rows);
    FIELD(pst_infer, load);
    FIELD(pst_infer, infer);
    FIELD(pst_infer, unload);
}

static void print_pst_explain(void)
{
    STRUCT(pst_explain);
    FIELD(pst_explain, struct_size);
    FIELD(pst_explain, flags);
    FIELD(pst_explain, explain);
}

static void print_pst_json_service(void)
{
    STRUCT(pst_json_service);
    FIELD(pst_json_service, struct_size);
    FIELD(pst_json_service, flags);
    FIELD(pst_json_service, parse);
    FIELD(pst_json_service, discard);
    FIELD(pst_json_service, has);
    FIELD(pst_json_service, text);
    FIELD(pst_json_service, integer);
    FIELD(pst_json_service, real);
    FIELD(pst_json_service, flag);
    FIELD(pst_json_service, count);
    FIELD(pst_json_service, key);
}

static void print_pst_state_service(void)
{
    STRUCT(pst_state_service);
    FIELD(pst_state_service, struct_size);
    FIELD(pst_state_service, flags);
    FIELD(pst_state_service, get);
    FIELD(pst_state_service, put);
}

static void print_pst_limit_service(void)
{
    STRUCT(pst_limit_service);
    FIELD(pst_limit_service, struct_size);
    FIELD(pst_limit_service, flags);
    FIELD(pst_limit_service, take);
}

static void print_pst_file(void)
{
    STRUCT(pst_file);
    FIELD(pst_file, name);
    FIELD(pst_file, kind);
    FIELD(pst_file, reserved);
    FIELD(pst_file, device);
    FIELD(pst_file, inode);
    FIELD(pst_file, bytes);
    FIELD(pst_file, modified_us);
}

static void print_pst_files(void)
{
    STRUCT(pst_files);
    FIELD(pst_files, struct_size);
    FIELD(pst_files, flags);
    FIELD(pst_files, open);
    FIELD(pst_files, find);
    FIELD(pst_files, list);
}

int main(void)
{
    print_pst_error();
    print_pst_bytes();
    print_pst_field();
    print_pst_blob();
    print_pst_call();
    print_pst_reject();
    print_pst_batch();
    print_pst_input();
    print_pst_metric();
    print_pst_host();
    print_pst_plugin();
    print_pst_source();
    print_pst_request();
    print_pst_reply();
    print_pst_push();
    print_pst_sink();
    print_pst_command_result();
    print_pst_command();
    print_pst_discover();
    print_pst_check();
    print_pst_attachment();
    print_pst_message();
    print_pst_delivery();
    print_pst_send();
    print_pst_receipt();
    print_pst_receipts();
    print_pst_metric_engine();
    print_pst_train();
    print_pst_infer();
    print_pst_explain();
    print_pst_json_service();
    print_pst_state_service();
    print_pst_limit_service();
    print_pst_file();
    print_pst_files();
    return 0;
}
