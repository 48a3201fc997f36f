//! The OpenAPI document, made of the table of routes.

use serde_json::{Map, Value, json};

use crate::problem::{self, STATUSES};
use crate::route::{Gives, Need, Param, Route, Takes};
use crate::routes::ROUTES;
use crate::schemas::{self, reference};

/// The document (OpenAPI 3.1) of everything that is served.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = methods {
            let method = route.method.as_str().to_lowercase();
            methods.insert(method, operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let path = route.params().map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let query = route.query.iter().map(parameter);
    let headers = route.is_change().then(|| {
        json!({
            "name": "Idempotency-Key", "in": "header", "schema": { "type": "string", "maxLength": 255 },
            "description": "the same answer for the same request, for 24 hours",
        })
    });
    let parameters: Vec<_> = path.chain(query).chain(headers).collect();
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.what,
        "parameters": parameters,
        "responses": responses(route),
        "security": match route.need {
            Need::Open => json!([]),
            Need::Permission(..) => json!([{ "bearer": [] }]),
        },
    });
    let body = |schema: &str, required: bool| {
        json!({
            "required": required,
            "content": { "application/json": { "schema": reference(schema) } },
        })
    };
    let body = match route.takes {
        Takes::Nothing => None,
        Takes::Optional(schema) => Some(body(schema, false)),
        Takes::Json(schema) => Some(body(schema, true)),
    };
    if let (Some(body), Value::Object(fields)) = (body, &mut operation) {
        fields.insert("requestBody".into(), body);
    }
    operation
}

fn parameter(param: &Param) -> Value {
    let schema: Value = serde_json::from_str(param.schema).unwrap_or_default();
    json!({ "name": param.name, "in": "query", "schema": schema, "description": param.what })
}

fn responses(route: &Route) -> Value {
    let mut all = Map::new();
    let (status, response) = match route.gives {
        Gives::Json(status, schema) => (status, content("application/json", &reference(schema))),
        Gives::Nothing => (204, json!({ "description": "done" })),
        Gives::Events => (
            200,
            content("text/event-stream", &json!({ "type": "string" })),
        ),
        Gives::Text => (200, content("text/plain", &json!({ "type": "string" }))),
    };
    all.insert(status.to_string(), response);
    if route.name == "put_schedule" {
        all.insert(
            "201".into(),
            content("application/json", &reference("Schedule")),
        );
    }
    if route.name == "start_replay" {
        all.insert(
            "200".into(),
            content("application/json", &reference("ReplayPlan")),
        );
    }
    if route.name == "get_schedule" {
        all.insert("304".into(), json!({ "description": "it has not changed" }));
    }
    for status in route.refusals() {
        all.insert(status.to_string(), problem(status));
    }
    Value::Object(all)
}

/// A refusal: the body, with the types that it may have.
fn problem(status: u16) -> Value {
    let known = STATUSES.iter().find(|(known, ..)| *known == status);
    let (what, slugs) = known.map_or(("", &[][..]), |(_, what, slugs)| (*what, *slugs));
    let types: Vec<_> = slugs.iter().map(|slug| problem::name(slug)).collect();
    let schema = json!({
        "allOf": [reference("Problem")],
        "properties": { "status": { "const": status }, "type": { "enum": types } },
    });
    let mut response = content("application/problem+json", &schema);
    response["description"] = what.into();
    response
}

fn content(media: &str, schema: &Value) -> Value {
    json!({ "description": "", "content": { media: { "schema": schema } } })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::document;
    use crate::routes::ROUTES;

    #[test]
    fn every_route_has_a_name_of_its_own() {
        let names: HashSet<_> = ROUTES.iter().map(|route| route.name).collect();
        assert_eq!(names.len(), ROUTES.len());
    }

    #[test]
    fn every_reference_is_there() {
        let document = document();
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }

    #[test]
    fn reading_never_changes_and_changing_never_reads() {
        for route in ROUTES {
            assert_eq!(route.is_change(), *route.method != "GET", "{route:?}");
        }
    }
}
