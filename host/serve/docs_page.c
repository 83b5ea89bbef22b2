/* The route table as one plain HTML page: no scripts, nothing from elsewhere. */
#include <string.h>

#include "serve/router_private.h"

static void add_html(text *out, const char *s)
{
    for (; s && *s; s++)
        if (*s == '<')
            text_add(out, "&lt;");
        else if (*s == '>')
            text_add(out, "&gt;");
        else if (*s == '&')
            text_add(out, "&amp;");
        else if (*s == '"')
            text_add(out, "&quot;");
        else
            text_add_char(out, *s);
}

static void add_line(text *out, const char *label, const char *value)
{
    if (!value || !*value)
        return;
    text_printf(out, "<dt>%s</dt><dd>", label);
    add_html(out, value);
    text_add(out, "</dd>");
}

static void add_schema(text *out, const char *label, const char *types, const char *schema)
{
    if (!schema)
        return;
    text_printf(out, "<details><summary>%s: ", label);
    add_html(out, types ? types : "application/json");
    text_add(out, "</summary><pre>");
    add_html(out, schema);
    text_add(out, "</pre></details>");
}

static void add_parameters(text *out, const route *r)
{
    for (unsigned i = 0; i < r->n_parameters; i++) {
        text_add(out, "<dt>?");
        add_html(out, r->parameters[i].name);
        text_add(out, "</dt><dd>");
        add_html(out, r->parameters[i].summary);
        text_add(out, "</dd>");
    }
    if (r->flags & ROUTE_LIST)
        text_add(out, "<dt>?limit, ?cursor</dt><dd>pages of at most 500; `next` leads on</dd>");
    if (r->flags & ROUTE_IDEMPOTENT)
        add_line(out, "header", "Idempotency-Key (required)");
    if (r->flags & ROUTE_IF_MATCH)
        add_line(out, "header", "If-Match (required)");
}

static void add_route(text *out, const route *r)
{
    static const char *const methods[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",      [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS"};
    text_printf(out, "<section id=\"%s\"><h3><b>%s</b> <code>", r->name, methods[r->method]);
    add_html(out, r->path);
    text_add(out, "</code></h3><p>");
    add_html(out, r->summary);
    text_add(out, "</p>");
    if (r->description) {
        text_add(out, "<p>");
        add_html(out, r->description);
        text_add(out, "</p>");
    }
    text_printf(out, "<dl><dt>answers</dt><dd>%d</dd>", r->success);
    if (r->verb != VERB_NONE) {
        text_printf(out, "<dt>needs</dt><dd>%s on ", verb_name(r->verb));
        add_html(out, r->reference);
        text_add(out, "</dd>");
    }
    add_parameters(out, r);
    text_add(out, "</dl>");
    add_schema(out, "body", r->request_types, r->request_schema);
    add_schema(out, "answer", r->response_types, r->response_schema);
    text_add(out, "</section>");
}

static bool is_first_of_tag(const route_table *t, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(route_table_at(t, k)->tag, route_table_at(t, i)->tag) == 0)
            return false;
    return true;
}

static void add_tag(text *out, const route_table *t, const char *tag)
{
    text_add(out, "<h2>");
    add_html(out, tag);
    text_add(out, "</h2>");
    for (size_t i = 0; i < route_table_size(t); i++) {
        const route *r = route_table_at(t, i);
        if (strcmp(r->tag, tag) == 0 && !(r->flags & ROUTE_HIDDEN))
            add_route(out, r);
    }
}

void docs_page_make(const router_config *config, text *out)
{
    text_add(out,
             "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
             "content=\"width=device-width\"><title>Penstock API</title><style>body{font:16px/1.5 "
             "system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;"
             "background:#fff}h3{margin:1.5rem 0 0}dl{display:grid;grid-template-columns:10rem 1fr;gap:0 "
             "1rem;margin:.5rem 0}dd{margin:0}pre{white-space:pre-wrap;background:#f4f4f4;padding:.5rem}"
             "</style><h1>Penstock API</h1><p>Version ");
    add_html(out, config->version);
    text_add(
        out,
        ". The same as data: <a href=\"/openapi.json\">openapi.json</a>. Keys go into "
        "<code>Authorization: Bearer psk_…</code>. Errors are <code>application/problem+json</code>.</p>");
    const route_table *t = config->table;
    for (size_t i = 0; i < route_table_size(t); i++)
        if (is_first_of_tag(t, i))
            add_tag(out, t, route_table_at(t, i)->tag);
    text_add(out, "</html>\n");
}
