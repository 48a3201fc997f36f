//! Dead letters in files of JSON Lines: `dead export`, `dead import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidemill::{
    Admission, Attempt, Envelope, REPLAY_OF, TaskRecord, TaskView, decode_envelope, encode_envelope,
};

use super::DeadFilterArgs;
use crate::audit::{self, ReasonArgs};
use crate::context::Context;
use crate::output::{Format, OutputArgs, counted};
use crate::problem::Problem;

/// The longest line of a file, in bytes.
const MAX_LINE: usize = 32 << 20;

/// One line: the envelope as it travels, and beside it the dead letter for people and other programs.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    envelope: Box<RawValue>,
    letter: Box<RawValue>,
}

/// The line of a dead letter, with its end.
pub(crate) fn letter_line(task: &TaskRecord, attempts: &[Attempt]) -> Result<String, Problem> {
    let view = TaskView::from(task).with_failures(attempts);
    let cannot = |e: serde_json::Error| {
        Problem::failed(format!("task {} cannot be written", task.envelope.id)).because(e)
    };
    let envelope = String::from_utf8(encode_envelope(&task.envelope)?)
        .map_err(|e| Problem::failed("an envelope is not text").because(e))?;
    let line = Line {
        envelope: RawValue::from_string(envelope).map_err(cannot)?,
        letter: serde_json::value::to_raw_value(&view).map_err(cannot)?,
    };
    let mut text = serde_json::to_string(&line).map_err(cannot)?;
    text.push('\n');
    Ok(text)
}

/// Writes dead letters, a line each.
pub(super) struct Export<W: Write> {
    out: W,
    pub(super) count: usize,
}

impl<W: Write> Export<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, count: 0 }
    }

    pub(super) async fn add(
        &mut self,
        task: &TaskRecord,
        context: &Context,
    ) -> Result<(), Problem> {
        let attempts = context.inspect()?.attempts(&task.envelope.id).await?;
        let line = letter_line(task, &attempts)?;
        self.out.write_all(line.as_bytes()).map_err(not_written)?;
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, Problem> {
        self.out.flush().map_err(not_written)?;
        Ok(self.out)
    }
}

fn not_written(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Problem::ReaderGone,
        _ => Problem::failed("the letters cannot be written").because(error),
    }
}

/// A new file for letters.
pub(super) fn create(path: &Path) -> Result<Export<BufWriter<File>>, Problem> {
    let file = File::create_new(path).map_err(|e| {
        Problem::failed(format!("{} cannot be made", path.display()))
            .because(e)
            .hint("name a file that does not exist yet")
    })?;
    Ok(Export::new(BufWriter::new(file)))
}

/// Which letters, and where to.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    filter: DeadFilterArgs,
    /// Into this new file [default: standard output]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn export(args: &ExportArgs, context: &Context) -> Result<(), Problem> {
    match &args.file {
        Some(path) => {
            let mut export = create(path)?;
            write_all(&mut export, &args.filter, context).await?;
            let count = export.count;
            let file = export.finish()?;
            keep(file)?;
            let line = format!(
                "{} written to {}\n",
                counted(count, "letter"),
                path.display()
            );
            io::stderr().write_all(line.as_bytes()).ok();
            Ok(())
        }
        None => {
            let mut export = Export::new(BufWriter::new(io::stdout()));
            write_all(&mut export, &args.filter, context).await?;
            export.finish().map(drop)
        }
    }
}

/// Makes sure that a file is on the disk.
pub(super) fn keep(file: BufWriter<File>) -> Result<(), Problem> {
    let file = file.into_inner().map_err(|e| not_written(e.into_error()))?;
    file.sync_all().map_err(not_written)
}

async fn write_all<W: Write>(
    export: &mut Export<W>,
    filter: &DeadFilterArgs,
    context: &Context,
) -> Result<(), Problem> {
    let (meant, mut cursor) = (filter.filter(context), None);
    loop {
        let page = context.inspect()?.list(&meant, cursor, 1_000).await?;
        for task in page.items.iter().filter(|task| filter.is_meant(task)) {
            export.add(task, context).await?;
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// Which file, and how.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The file that `dead export` wrote, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read and check the file, and put nothing in line
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: ReasonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Puts the letters of a file back in line as new tasks under their old ids. One whose id is taken is
/// left alone, so that a file can be imported again.
pub(super) async fn import(args: &ImportArgs, context: &mut Context) -> Result<(), Problem> {
    let is_stdin = args.file.as_os_str() == "-";
    let reader: Box<dyn BufRead> = match is_stdin {
        true => Box::new(BufReader::new(io::stdin())),
        false => Box::new(BufReader::new(File::open(&args.file).map_err(|e| {
            Problem::usage(format!("{} cannot be read", args.file.display())).because(e)
        })?)),
    };
    let (mut admitted, mut there, mut batch) = (0, 0, Vec::new());
    for (number, line) in (1..).zip(reader.lines()) {
        let place = || format!("{}:{number}", args.file.display());
        let line = line.map_err(|e| Problem::failed("it cannot be read").because(e).at(place()))?;
        if line.is_empty() {
            continue;
        }
        batch.push(read(&line, context).map_err(|problem| problem.at(place()))?);
        if batch.len() == 500 {
            put(&mut batch, args, context, &mut admitted, &mut there).await?;
        }
    }
    put(&mut batch, args, context, &mut admitted, &mut there).await?;
    if !args.dry_run {
        let subject = format!("{} of {}", counted(admitted, "letter"), args.file.display());
        audit::keep(context, "import_dead", &subject, &args.reason).await;
    }
    match args.output.format {
        Format::Json => context.out.json(
            &serde_json::json!({ "imported": admitted, "there": there, "dry_run": args.dry_run }),
        )?,
        Format::Table => {
            let would = if args.dry_run { "would be put" } else { "put" };
            let letters = counted(admitted, "letter");
            context.out.line(&format!(
                "{letters} {would} in line; {there} were there already"
            ))?;
        }
    }
    context.out.flush()
}

fn read(line: &str, context: &Context) -> Result<Envelope, Problem> {
    if line.len() > MAX_LINE {
        return Err(Problem::usage("the line is longer than any letter"));
    }
    let line: Line = serde_json::from_str(line).map_err(|e| {
        Problem::usage("the line is not a letter")
            .because(e)
            .hint("expected a file that `tidemill dead export` wrote")
    })?;
    let mut envelope = decode_envelope(line.envelope.get().as_bytes())?;
    let now = context.clock().now();
    let id = envelope.id.to_string();
    envelope.headers.entry(REPLAY_OF.into()).or_insert(id);
    // It is enqueued anew; its fire, if it was one, has been.
    (envelope.enqueued_at, envelope.due_at, envelope.origin) = (now, now, None);
    envelope.check(context.broker().capabilities().max_payload)?;
    Ok(envelope)
}

async fn put(
    batch: &mut Vec<Envelope>,
    args: &ImportArgs,
    context: &Context,
    admitted: &mut usize,
    there: &mut usize,
) -> Result<(), Problem> {
    let batch = std::mem::take(batch);
    if args.dry_run || batch.is_empty() {
        for envelope in batch {
            match context.inspect()?.get(&envelope.id).await? {
                Some(_) => *there += 1,
                None => *admitted += 1,
            }
        }
        return Ok(());
    }
    for admission in context.broker().enqueue(batch).await? {
        match admission {
            Admission::Admitted => *admitted += 1,
            Admission::Duplicate(_) | Admission::IdConflict => *there += 1,
            Admission::QueueFull { limit } => {
                return Err(Problem::failed(format!(
                    "a queue is full: its limit is {limit} waiting tasks"
                ))
                .hint("import the file again later; what is in line stays there once"));
            }
        }
    }
    Ok(())
}
