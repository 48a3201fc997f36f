//! Tokens, and the audit records.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tidemill_shared::{NoteName, QueueName, Timestamp, parse_duration};

use crate::access::{Role, Scope, TokenRecord};
use crate::call::{Call, PageView, Reply};
use crate::problem::Problem;
use crate::route::Answer;

/// Tokens by name, without their secrets.
pub(crate) async fn tokens(call: Call) -> Answer {
    let (after, limit) = (call.parsed("cursor")?, call.limit()?);
    let tokens = call.app.tokens.list().await?;
    let place = |one: &TokenRecord| one.name.clone();
    Ok(Reply::ok(&PageView::of_all(
        tokens,
        place,
        after.as_ref(),
        limit,
    )))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    name: NoteName,
    role: Role,
    #[serde(default)]
    queues: Vec<QueueName>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    expires_in: Option<String>,
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

/// Makes a token: the only time that its text is shown.
pub(crate) async fn issue(call: Call) -> Answer {
    let form: TokenForm = call.json()?;
    if form.expires_at.is_some() && form.expires_in.is_some() {
        return Err(Problem::invalid(
            "expected one of expires_at and expires_in, not both",
        ));
    }
    let after = form.expires_in.as_deref().map(parse_duration).transpose()?;
    let end = form.expires_at.or(after.map(|after| call.now() + after));
    let queues = Scope {
        queues: form.queues,
    };
    let by = &call.principal.name;
    let tokens = &call.app.tokens;
    let issued = tokens.issue(form.name, form.role, queues, end, by).await?;
    let subject = issued.record.name.to_string();
    let body = json!({ "token": issued.text, "record": issued.record });
    Ok(Reply::json(StatusCode::CREATED, &body).about(subject))
}

/// Ends a token.
pub(crate) async fn revoke(call: Call) -> Answer {
    let name: NoteName = call.param("name").map_err(|_| Problem::not_found())?;
    match call.app.tokens.revoke(&name).await? {
        true => Ok(Reply::no_content()),
        false => Err(Problem::not_found()),
    }
}

/// Who changed what, newest first.
pub(crate) async fn audit(call: Call) -> Answer {
    let after: Option<NoteName> = call.parsed("cursor")?;
    let limit = call.limit()?;
    let records = call.app.auditor.list(after.as_ref(), limit).await?;
    let next = records.last().filter(|_| records.len() == limit);
    let next = next.map(|(name, _)| name.to_string());
    let items: Vec<_> = records.iter().map(|(_, record)| record).collect();
    let mut body = json!({ "items": items });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("next_cursor".into(), next.into());
    }
    Ok(Reply::ok(&body))
}
