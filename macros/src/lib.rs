//! `#[derive(Task)]` of Tidemill. Use it through the crate `tidemill`, which re-exports it.

mod attributes;
mod duration;
mod name;

use proc_macro::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, parse_macro_input};

use self::attributes::Attributes;

/// Writes `impl Task` for a struct or enum that serde can write and read.
///
/// `#[task(…)]` takes, checked when the program is compiled:
///
/// | Setting | Meaning | Default |
/// |---|---|---|
/// | `kind = "email.welcome"` | the stable wire name; required | |
/// | `queue = "mail"` | the queue of its enqueues | `default` |
/// | `attempts = 5` | runs in all, 1 to 1,000,000 | 10 |
/// | `timeout = "30s"` | the longest that one run may take | 30 min |
/// | `priority = 7` | 0 (last) to 9 (first) | 5 |
/// | `retention = "1h"` | how long it is kept once completed | zero |
/// | `crate = "path"` | where the crate `tidemill` is found, if it was renamed | `::tidemill` |
///
/// Names match `^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`; durations are written as `250ms`, `30s`, `5m`,
/// `1h 30m` or `7d`. A generic type is refused, because one kind has one form of payload.
#[proc_macro_derive(Task, attributes(task))]
pub fn derive_task(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    if let Data::Union(data) = &input.data {
        return Err(Error::new(
            data.union_token.span,
            "a union cannot be a task; expected a struct or an enum",
        ));
    }
    if !input.generics.params.is_empty() {
        return Err(Error::new(
            input.generics.span(),
            "a task cannot be generic, because one kind has one form of payload; write `impl Task` by hand for each concrete type",
        ));
    }
    let attributes = Attributes::read(input)?;
    let name = &input.ident;
    let krate = &attributes.krate;
    let kind = &attributes.kind;
    let defaults = attributes.defaults();
    Ok(quote_spanned! {name.span()=>
        #[automatically_derived]
        impl #krate::Task for #name {
            const KIND: &'static str = #kind;
            #defaults
        }
    })
}

impl Attributes {
    fn defaults(&self) -> proc_macro2::TokenStream {
        if self.has_no_defaults() {
            return quote!();
        }
        let krate = &self.krate;
        let queue = option(self.queue.as_ref());
        let attempts = option(self.attempts.as_ref());
        let timeout = option(self.timeout.map(duration::tokens));
        let priority = option(self.priority.as_ref());
        let retention = option(self.retention.map(duration::tokens));
        quote! {
            fn defaults() -> #krate::TaskDefaults {
                #krate::TaskDefaults {
                    queue: #queue,
                    max_attempts: #attempts,
                    timeout: #timeout,
                    priority: #priority,
                    retention: #retention,
                }
            }
        }
    }
}

fn option<T: quote::ToTokens>(value: Option<T>) -> proc_macro2::TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
