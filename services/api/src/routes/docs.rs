//! `/openapi.json`, and `/docs`: the same for people, as one page without scripts.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::app::App;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color-scheme:light dark}code{font-family:ui-monospace,monospace}summary{cursor:pointer;padding:.25rem 0}\
details{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent)}dd{margin-left:1.5rem}";
/// Nothing is loaded from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// The two routes for a document.
pub(crate) fn router(document: &OpenApi) -> Router<App> {
    // A document holds texts, numbers and lists: JSON can say all of it.
    let document = serde_json::to_value(document).unwrap_or_default();
    let json = Bytes::from(document.to_string());
    let html = Bytes::from(page(&document));
    let json_type = [(header::CONTENT_TYPE, "application/json")];
    Router::new()
        .route("/openapi.json", get(async move || (json_type, json).into_response()))
        .route("/docs", get(async move || ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(html))))
}

fn page(document: &Value) -> String {
    let mut html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>retouch API</title><style>{STYLE}</style><h1>retouch API</h1>\
         <p>Every route that needs a key takes it as <code>Authorization: Bearer rtk_…</code>. The same as an OpenAPI \
         document: <a href=\"/openapi.json\"><code>/openapi.json</code></a>.</p>"
    );
    for (path, item) in entries(&document["paths"]) {
        for (method, operation) in entries(item).filter(|(_, operation)| operation.is_object()) {
            describe(&mut html, path, method, operation);
        }
    }
    html.push_str("</html>");
    html
}

fn describe(html: &mut String, path: &str, method: &str, operation: &Value) {
    let mut line = |text: String| html.push_str(&text);
    let summary = escape(operation["summary"].as_str().unwrap_or_default());
    let method = escape(&method.to_ascii_uppercase());
    line(format!("<details><summary><code>{method} {}</code> — {summary}</summary>", escape(path)));
    if let Some(text) = operation["description"].as_str() {
        line(format!("<p>{}</p>", escape(text)));
    }
    if let Some(scope) = operation["security"][0]["key"][0].as_str() {
        line(format!("<p>Needs a key of scope <code>{}</code>.</p>", escape(scope)));
    }
    line("<dl>".to_owned());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = escape(parameter["name"].as_str().unwrap_or_default());
        let place = escape(parameter["in"].as_str().unwrap_or_default());
        let text = escape(parameter["description"].as_str().unwrap_or_default());
        line(format!("<dt><code>{name}</code> ({place})</dt><dd>{text}</dd>"));
    }
    for (kind, content) in entries(&operation["requestBody"]["content"]) {
        line(format!("<dt>body <code>{}</code></dt><dd>{}</dd>", escape(kind), schema(&content["schema"])));
    }
    for (status, response) in entries(&operation["responses"]) {
        let text = escape(response["description"].as_str().unwrap_or_default());
        let bodies: String =
            entries(&response["content"]).map(|(_, content)| schema(&content["schema"])).collect();
        line(format!("<dt>{}</dt><dd>{text} {bodies}</dd>", escape(status)));
    }
    line("</dl></details>".to_owned());
}

/// The name of a schema, or what it says inline.
fn schema(schema: &Value) -> String {
    let named = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
    let text = named.unwrap_or_else(|| schema.to_string());
    format!("<code>{}</code>", escape(&text))
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
        escaped
    })
}
