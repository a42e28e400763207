//! Lists followed to their end, page by page.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tonic::Status;

const PAGE_SIZE: usize = 500;
/// The most items that a limit may name.
const LIMIT_MAX: usize = 1_000_000;

/// How much of a list is shown.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limit {
    /// Lists at most so many, from 1 to 1000000; without it, all
    #[arg(long = "limit", value_name = "COUNT", value_parser = parse_limit, allow_hyphen_values = true)]
    pub(crate) count: Option<usize>,
}

fn parse_limit(text: &str) -> Result<usize, String> {
    let fits = |limit: &usize| (1..=LIMIT_MAX).contains(limit);
    let refused = || format!("must be a number from 1 to {LIMIT_MAX}; without `--limit` everything is listed");
    text.parse().ok().filter(fits).ok_or_else(refused)
}

/// Calls `next` with a page size and a token until the list ends or `limit` items are there.
/// It shows on a terminal how far it is.
pub(crate) async fn follow<T>(
    limit: Option<usize>,
    mut next: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Status> {
    let progress = spinner();
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let wanted = limit.map_or(PAGE_SIZE, |limit| limit.saturating_sub(items.len()).min(PAGE_SIZE));
        if wanted == 0 {
            break;
        }
        let (page, next_token) = next(i32::try_from(wanted).unwrap_or(i32::MAX), token).await?;
        items.extend(page);
        if next_token.is_empty() {
            break;
        }
        progress.set_message(format!("{} so far", items.len()));
        token = next_token;
    }
    progress.finish_and_clear();
    if let Some(limit) = limit {
        items.truncate(limit);
    }
    Ok(items)
}

/// A spinner on stderr, which shows itself on terminals only.
fn spinner() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

/// A bar over the bytes of a file, or a spinner where nobody knows how many there are. It shows itself
/// on terminals only.
pub(crate) fn bytes(length: Option<u64>) -> ProgressBar {
    let Some(length) = length else { return spinner() };
    let progress = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {percent}% {msg} {eta}") {
        progress.set_style(style.progress_chars("=> "));
    }
    progress
}

/// A bar on stderr, which shows itself on terminals only.
pub(crate) fn bar(length: usize, what: &'static str) -> ProgressBar {
    let progress = ProgressBar::new(length.try_into().unwrap_or(u64::MAX)).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}") {
        progress.set_style(style.progress_chars("=> "));
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn list(limit: Option<usize>) -> (Vec<usize>, Vec<i32>) {
        let mut sizes = Vec::new();
        let items = follow(limit, async |size, token: String| {
            sizes.push(size);
            let start: usize = token.parse().unwrap_or(0);
            let end = (start + usize::try_from(size).unwrap_or(0)).min(1200);
            let next = if end == 1200 { String::new() } else { end.to_string() };
            Ok::<_, Status>(((start..end).collect(), next))
        })
        .await;
        (items.unwrap(), sizes)
    }

    #[test]
    fn a_limit_has_bounds() {
        assert_eq!(parse_limit("1"), Ok(1));
        assert_eq!(parse_limit("1000000"), Ok(LIMIT_MAX));
        for wrong in ["0", "-1", "1000001", "ten", "", "99999999999999999999"] {
            assert!(parse_limit(wrong).unwrap_err().contains("from 1 to 1000000"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn pages_are_followed_to_the_end_or_to_the_limit() {
        assert_eq!(list(None).await.0, (0..1200).collect::<Vec<_>>());
        assert_eq!(list(Some(501)).await, ((0..501).collect(), vec![500, 1]));
        assert_eq!(list(Some(0)).await, (vec![], vec![]));
        assert_eq!(list(Some(9999)).await.0.len(), 1200);
    }
}
