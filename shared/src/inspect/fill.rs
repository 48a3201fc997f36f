//! Listing until a page is full.

use super::Inspect;
use crate::{Cursor, Page, Result, TaskFilter, TaskRecord};

/// Lists until the page holds `limit` tasks, or there are no more, or `is_enough` says so after a call that did
/// not fill it. Then the page is partial ([`Page::is_partial`]), and `next` is where to go on.
///
/// Cancel-safe: nothing is changed.
pub async fn fill_page(
    inspect: &dyn Inspect,
    filter: &TaskFilter,
    cursor: Option<Cursor>,
    limit: usize,
    mut is_enough: impl FnMut() -> bool,
) -> Result<Page<TaskRecord>> {
    let mut page = inspect.list(filter, cursor, limit).await?;
    while page.is_partial(limit) && !is_enough() {
        let left = limit - page.items.len();
        let more = inspect.list(filter, page.next, left).await?;
        page.items.extend(more.items);
        page.next = more.next;
    }
    Ok(page)
}
