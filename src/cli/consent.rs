//! Before something is taken away for good: what would go, and whether that is meant.
//!
//! Every command that cannot be undone asks on a terminal, by having the name typed. A script says
//! `--yes`; one that does not is refused before anything is asked of the server. `--dry-run` has the
//! server run every check, shows what would go, and changes nothing. What can be undone, such as
//! disabling or suspending, is not asked about.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use anyhow::ensure;
use clap::Args;
use tonic::{Code, Status};

use super::output::{self, Format, clean};
use super::preview::Rights;

/// Whether the caller means it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Consent {
    /// Does not ask; needed where standard input is no terminal
    #[arg(long)]
    yes: bool,
    /// Runs every check on the server, shows what would go, and changes nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// What would go.
#[derive(Debug)]
pub(crate) struct Loss {
    /// What is typed to confirm it.
    pub(crate) name: String,
    /// What happens, as a sentence without its end: `deletes account contoso-corp for good`.
    pub(crate) what: String,
    /// What else there is to know, as names and values.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Who gains and loses by it, where it changes rights.
    pub(crate) rights: Option<Rights>,
}

impl Consent {
    /// Refuses where nobody said yes and nobody can be asked.
    pub(crate) fn check(self) -> anyhow::Result<()> {
        ensure!(
            self.yes || self.dry_run || io::stdin().is_terminal(),
            "standard input is no terminal, so that nobody can be asked: say `--yes`, or look first with `--dry-run`"
        );
        Ok(())
    }

    /// Whether to go on. `rehearse` has the server run every check and says what would go.
    pub(crate) async fn given(
        self,
        format: Format,
        rehearse: impl AsyncFnOnce() -> anyhow::Result<Loss>,
    ) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        let loss = rehearse().await?;
        if self.dry_run {
            show(format, &loss)?;
            return Ok(false);
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "This {}", text(&loss))?;
        write!(stderr, "Type `{}` to go on: ", clean(&loss.name))?;
        stderr.flush()?;
        ensure!(is_typed(&loss.name, io::stdin().lock())?, "not confirmed; nothing was changed");
        Ok(true)
    }
}

fn show(format: Format, loss: &Loss) -> anyhow::Result<()> {
    match format {
        Format::Table => output::write(&format!("A dry run: nothing was changed. This {}", text(loss))),
        Format::Json => {
            let details = loss.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
            let mut object: serde_json::Map<_, serde_json::Value> = details.collect();
            object.insert("dryRun".to_owned(), true.into());
            object.insert("what".to_owned(), loss.what.clone().into());
            if let Some(rights) = &loss.rights {
                rights.put_into(&mut object)?;
            }
            output::write(&format!("{}\n", serde_json::to_string_pretty(&object)?))
        }
    }
}

fn text(loss: &Loss) -> String {
    let details: Vec<_> = loss.details.iter().map(|(name, value)| (format!("  {name}"), value.clone())).collect();
    let rights = loss.rights.as_ref().map(Rights::text).unwrap_or_default();
    format!("{}.\n{}{rights}", clean(&loss.what), output::pairs(&details))
}

fn is_typed(name: &str, mut input: impl BufRead) -> io::Result<bool> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim() == name)
}

/// How many there are, as far as the caller may know.
pub(crate) fn count<T>(list: Result<Vec<T>, Status>) -> anyhow::Result<String> {
    match list {
        Ok(items) => Ok(items.len().to_string()),
        Err(status) if matches!(status.code(), Code::PermissionDenied | Code::NotFound) => {
            Ok("you may not list them".to_owned())
        }
        Err(status) => Err(status.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_name_is_a_yes() {
        for (typed, is_yes) in [
            ("contoso\n", true),
            (" contoso ", true),
            ("y\n", false),
            ("yes\n", false),
            ("Contoso\n", false),
            ("", false),
        ] {
            assert_eq!(is_typed("contoso", typed.as_bytes()).unwrap(), is_yes, "{typed:?}");
        }
    }
}
