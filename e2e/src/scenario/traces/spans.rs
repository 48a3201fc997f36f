//! What the collector has printed, and whether it hangs together.

use std::collections::{HashMap, HashSet};

use super::target::Request;

#[derive(Clone, Debug, Default)]
struct Span {
    trace: String,
    parent: String,
    name: String,
    links: Vec<(String, String)>,
}

/// Spans by their ids.
#[derive(Debug, Default)]
pub(super) struct Spans {
    by_id: HashMap<String, Span>,
    /// The runs that were settled.
    settled: HashSet<String>,
}

impl Spans {
    pub(super) fn read(text: &str) -> Self {
        let mut spans = Self::default();
        let (mut id, mut span) = (String::new(), Span::default());
        for line in text.lines() {
            let line = line.trim_start();
            if line.starts_with("Span #") {
                spans.add(std::mem::take(&mut id), std::mem::take(&mut span));
                continue;
            }
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            let value = value.trim().to_owned();
            match name.trim_end() {
                "Trace ID" => span.trace = value,
                "Parent ID" => span.parent = value,
                "ID" => id = value,
                "Name" => span.name = value,
                "-> Trace ID" => span.links.push((value, String::new())),
                "-> ID" => {
                    if let Some(link) = span.links.last_mut() {
                        link.1 = value;
                    }
                }
                _ => {}
            }
        }
        spans.add(id, span);
        spans
    }

    fn add(&mut self, id: String, span: Span) {
        if id.is_empty() {
            return;
        }
        if span.name.starts_with("settle ") {
            self.settled.insert(span.parent.clone());
        }
        self.by_id.insert(id, span);
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What is missing between a request and where it came from; `None` when nothing is.
    pub(super) fn gap(&self, request: &Request) -> Option<String> {
        self.follow(request).err()
    }

    /// What is missing between a request, the run that made it, and the span that a `traceparent` names.
    pub(super) fn gap_to(&self, request: &Request, header: &str) -> Option<String> {
        let follow = || {
            let call = self.find(&request.trace, &request.span, "GET")?;
            let run = self.find(&call.trace, &call.parent, "process ")?;
            let (trace, id) = match run.links.first() {
                Some((trace, id)) if run.parent.is_empty() => (trace, id),
                _ => (&run.trace, &run.parent),
            };
            let expected = format!("00-{trace}-{id}-01");
            (header == expected)
                .then_some(())
                .ok_or_else(|| format!("the header is {header:?}; the run belongs to {expected:?}"))
        };
        follow().err()
    }

    fn follow(&self, request: &Request) -> Result<(), String> {
        let call = self.find(&request.trace, &request.span, "GET")?;
        let run = self.find(&call.trace, &call.parent, "process ")?;
        if !self.settled.contains(&call.parent) {
            return Err("the run was not settled".into());
        }
        // The first run of what was due at once is a part of the enqueue; any other one links to it.
        let (trace, id) = match (run.parent.as_str(), run.links.as_slice()) {
            ("", [(trace, id)]) => (trace, id),
            ("", links) => return Err(format!("the run has no parent and {} links", links.len())),
            (_, _) => (&run.trace, &run.parent),
        };
        let sent = match self.by_id.get(id) {
            Some(sent) if sent.name.starts_with("create ") => {
                return self.find(trace, id, "create ").map(drop);
            }
            _ => self.find(trace, id, "send ")?,
        };
        if request.path.starts_with("/fire/") {
            self.find(&sent.trace, &sent.parent, "schedule.fire ")?;
        }
        Ok(())
    }

    fn find(&self, trace: &str, id: &str, name: &str) -> Result<&Span, String> {
        let name = name.trim_end();
        let span = self.by_id.get(id);
        let span =
            span.ok_or_else(|| format!("there is no span {id:?}, which should be {name}"))?;
        if span.trace != trace || !span.name.starts_with(name) {
            return Err(format!("{span:?} should be {name} of the trace {trace}"));
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, Spans};

    const PRINTED: &str = "\
Span #0
    Trace ID       : t1
    Parent ID      : 
    ID             : fire
    Name           : schedule.fire tick
Span #1
    Trace ID       : t1
    Parent ID      : fire
    ID             : send
    Name           : send default
Span #0
    Trace ID       : t2
    Parent ID      : 
    ID             : run
    Name           : process default
Links:
SpanLink #0
     -> Trace ID: t1
     -> ID: send
Span #1
    Trace ID       : t2
    Parent ID      : run
    ID             : call
    Name           : GET
Span #2
    Trace ID       : t2
    Parent ID      : run
    ID             : settle
    Name           : settle default
";

    #[test]
    fn a_chain_is_whole_only_with_each_of_its_spans() {
        let request = Request {
            path: "/fire/1".into(),
            trace: "t2".into(),
            span: "call".into(),
        };
        assert_eq!(Spans::read(PRINTED).gap(&request), None);
        for id in ["fire", "send", "run", "call", "settle"] {
            let other = PRINTED.replace(
                &format!(" ID             : {id}\n"),
                " ID             : x\n",
            );
            let other = match id {
                "settle" => other.replace("settle default", "other"),
                _ => other,
            };
            assert!(Spans::read(&other).gap(&request).is_some(), "{id}");
        }
        let unlinked = PRINTED.replace("-> ID: send", "-> ID: other");
        assert!(Spans::read(&unlinked).gap(&request).is_some());
    }
}
