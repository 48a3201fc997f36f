//! The rows in their long form.

use std::path::Path;

use super::bed::{Bed, Furniture};
use super::rows::{RABBIT_ROWS, RabbitRow, rabbit_row};
use crate::Result;
use crate::faults::Campaign;

impl Campaign {
    /// The same on RabbitMQ.
    pub async fn run_on_rabbitmq(&self, tell: impl Fn(&str)) -> Result {
        let rows = match &self.row {
            None => RABBIT_ROWS.to_vec(),
            Some(name) => vec![*rabbit_row(name)?],
        };
        let mut table = self.table("rabbit-faults");
        let folder = tempfile::tempdir()?;
        let mut bed = None;
        for row in rows {
            let found = table.report.attempt(async |trial| {
                let bed = made(&mut bed, folder.path(), &row).await?;
                row.run(&trial, bed).await
            });
            let found = found.await;
            if found.is_err() {
                // Whatever it left behind is not to spoil the next one.
                bed = None;
            }
            tell(&table.add(row.name, row.what, found));
        }
        self.end(table)
    }
}

/// The bed of a row: the one that is there, if it is of its kind.
async fn made<'b>(
    bed: &'b mut Option<(Furniture, Bed)>,
    folder: &Path,
    row: &RabbitRow,
) -> Result<&'b mut Bed> {
    if bed.as_ref().is_none_or(|(kind, _)| *kind != row.furniture) {
        // The old one ends before the new one starts.
        *bed = None;
        let folder = folder.join(row.name);
        std::fs::create_dir_all(&folder)?;
        *bed = Some((row.furniture, Bed::make(&folder, row.furniture).await?));
    }
    let (_, bed) = bed.as_mut().ok_or("there is no bed")?;
    Ok(bed)
}
