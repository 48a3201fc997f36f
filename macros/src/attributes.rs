//! What stands in `#[task(…)]`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Error, LitInt, LitStr, Path, parse_quote};

use crate::{duration, name};

const EXPECTED: &str = "expected kind, queue, attempts, timeout, priority, retention or crate";

/// The settings of a task, checked.
pub(crate) struct Attributes {
    pub(crate) kind: LitStr,
    pub(crate) queue: Option<LitStr>,
    pub(crate) attempts: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) priority: Option<u8>,
    pub(crate) retention: Option<Duration>,
    pub(crate) krate: Path,
}

#[derive(Default)]
struct Found {
    kind: Option<LitStr>,
    queue: Option<LitStr>,
    attempts: Option<u32>,
    timeout: Option<Duration>,
    priority: Option<u8>,
    retention: Option<Duration>,
    krate: Option<Path>,
}

impl Attributes {
    pub(crate) fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut found = Found::default();
        let mut wrong: Option<Error> = None;
        for attribute in input.attrs.iter().filter(|a| a.path().is_ident("task")) {
            // Goes on after a wrong value, so that one build shows all of them.
            let parsed = attribute.parse_nested_meta(|meta| {
                if let Err(error) = found.take(&meta) {
                    match &mut wrong {
                        Some(first) => first.combine(error),
                        None => wrong = Some(error),
                    }
                }
                Ok(())
            });
            if let Err(error) = parsed {
                return Err(wrong.unwrap_or(error));
            }
        }
        if let Some(error) = wrong {
            return Err(error);
        }
        let Some(kind) = found.kind else {
            return Err(Error::new(
                input.ident.span(),
                "the kind is missing; write #[task(kind = \"…\")] with the stable wire name of the task, such as \"email.welcome\"",
            ));
        };
        Ok(Self {
            kind,
            queue: found.queue,
            attempts: found.attempts,
            timeout: found.timeout,
            priority: found.priority,
            retention: found.retention,
            krate: found.krate.unwrap_or_else(|| parse_quote!(::tidemill)),
        })
    }

    pub(crate) const fn has_no_defaults(&self) -> bool {
        self.queue.is_none()
            && self.attempts.is_none()
            && self.timeout.is_none()
            && self.priority.is_none()
            && self.retention.is_none()
    }
}

impl Found {
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("kind") {
            once(&mut self.kind, meta, |meta| name_of(meta, "kind"))
        } else if meta.path.is_ident("queue") {
            once(&mut self.queue, meta, |meta| name_of(meta, "queue"))
        } else if meta.path.is_ident("attempts") {
            once(&mut self.attempts, meta, |meta| {
                number_of(meta, "attempts", &(1..=1_000_000))
            })
        } else if meta.path.is_ident("priority") {
            once(&mut self.priority, meta, |meta| {
                number_of(meta, "priority", &(0..=9))
            })
        } else if meta.path.is_ident("timeout") {
            once(&mut self.timeout, meta, |meta| {
                let (text, timeout) = duration_of(meta)?;
                if timeout.is_zero() {
                    return Err(Error::new(
                        text.span(),
                        "the timeout is zero; expected more",
                    ));
                }
                Ok(timeout)
            })
        } else if meta.path.is_ident("retention") {
            once(&mut self.retention, meta, |meta| Ok(duration_of(meta)?.1))
        } else if meta.path.is_ident("crate") {
            once(&mut self.krate, meta, |meta| {
                meta.value()?
                    .parse::<LitStr>()?
                    .parse_with(Path::parse_mod_style)
            })
        } else {
            let error = meta.error(format!("there is no such setting; {EXPECTED}"));
            // Read over the value, so that what follows is looked at too.
            if let Ok(value) = meta.value() {
                value.parse::<syn::Expr>()?;
            }
            Err(error)
        }
    }
}

fn once<T>(
    slot: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    read: impl FnOnce(&ParseNestedMeta<'_>) -> syn::Result<T>,
) -> syn::Result<()> {
    let twice = slot.is_some();
    *slot = Some(read(meta)?);
    if twice {
        return Err(meta.error("this setting stands twice"));
    }
    Ok(())
}

fn name_of(meta: &ParseNestedMeta<'_>, what: &str) -> syn::Result<LitStr> {
    let text: LitStr = meta.value()?.parse()?;
    name::check(what, &text.value()).map_err(|why| Error::new(text.span(), why))?;
    Ok(text)
}

fn number_of<N>(meta: &ParseNestedMeta<'_>, what: &str, range: &RangeInclusive<N>) -> syn::Result<N>
where
    N: FromStr + Display + PartialOrd,
    N::Err: Display,
{
    let value = meta.value()?;
    let wrong = |span| {
        let (low, high) = (range.start(), range.end());
        Error::new(
            span,
            format!("{what} is out of range; expected {low} to {high}"),
        )
    };
    if value.peek(syn::Token![-]) {
        let minus: syn::Token![-] = value.parse()?;
        value.parse::<LitInt>()?;
        return Err(wrong(minus.span));
    }
    let number: LitInt = value.parse()?;
    match number.base10_parse::<N>() {
        Ok(parsed) if range.contains(&parsed) => Ok(parsed),
        Ok(_) | Err(_) => Err(wrong(number.span())),
    }
}

fn duration_of(meta: &ParseNestedMeta<'_>) -> syn::Result<(LitStr, Duration)> {
    let text: LitStr = meta.value()?.parse()?;
    let duration = duration::parse(&text.value()).map_err(|why| Error::new(text.span(), why))?;
    Ok((text, duration))
}
