//! What there is to say of an entry that was decided again, and how it is shown.

use serde_json::{Value, json};

use crate::cli::output::{self, Format};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Same,
    Different,
    NotKept,
    NotReplayable,
    Refused,
    Unreadable,
}

impl Fate {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Same => "SAME",
            Self::Different => "DIFFERENT",
            Self::NotKept => "NOT_KEPT",
            Self::NotReplayable => "NOT_REPLAYABLE",
            Self::Refused => "REFUSED",
            Self::Unreadable => "UNREADABLE",
        }
    }

    pub(super) const fn phrase(self) -> &'static str {
        match self {
            Self::Same => "the same",
            Self::Different => "different",
            Self::NotKept => "not kept any more",
            Self::NotReplayable => "not to be replayed",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A field that came out otherwise.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) logged: Value,
    pub(super) replayed: Value,
}

/// What there is to say of an entry.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) fate: Fate,
    pub(super) why: String,
    pub(super) differences: Vec<Difference>,
}

impl Verdict {
    pub(super) fn new(fate: Fate, why: impl Into<String>) -> Self {
        Self { fate, why: why.into(), differences: Vec::new() }
    }

    pub(super) fn different(field: &'static str, logged: impl Into<Value>, replayed: impl Into<Value>) -> Self {
        let difference = Difference { field, logged: logged.into(), replayed: replayed.into() };
        Self { fate: Fate::Different, why: String::new(), differences: vec![difference] }
    }

    /// The verdict with what the entry says against itself, which makes it another one whatever the answer.
    pub(super) fn beside(self, mut contradictions: Vec<Difference>) -> Self {
        if contradictions.is_empty() || self.fate == Fate::Unreadable {
            return self;
        }
        let is_told = |one: &Difference| contradictions.iter().any(|other| other.field == one.field);
        let rest: Vec<_> = self.differences.into_iter().filter(|one| !is_told(one)).collect();
        contradictions.extend(rest);
        Self { fate: Fate::Different, why: self.why, differences: contradictions }
    }
}

/// Writes what there is to say of an entry.
pub(super) fn show(format: Format, number: usize, id: &str, verdict: &Verdict) -> anyhow::Result<()> {
    let Verdict { fate, why, differences } = verdict;
    match format {
        Format::Table => {
            let mut text = format!("{number:>6}  {:14}  {}", fate.word(), output::clean(id));
            if !why.is_empty() {
                text.push_str(&format!("  {}", output::clean(why)));
            }
            for Difference { field, logged, replayed } in differences {
                let difference = format!("{field}: logged {}, replayed {}", plain(logged), plain(replayed));
                text.push_str(&format!("\n        {}", output::clean(&difference)));
            }
            output::write(&format!("{}\n", text.trim_end()))
        }
        Format::Json => {
            let difference =
                |one: &Difference| json!({"field": one.field, "logged": one.logged, "replayed": one.replayed});
            let differences: Vec<Value> = differences.iter().map(difference).collect();
            let line = json!({
                "line": number, "decisionId": id, "result": fate.word(), "why": why, "differences": differences,
            });
            output::write(&format!("{line}\n"))
        }
    }
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Whether anything came out otherwise.
pub(super) fn settled(differences: Vec<Difference>, why: &str) -> Verdict {
    let fate = if differences.is_empty() { Fate::Same } else { Fate::Different };
    Verdict { fate, why: why.to_owned(), differences }
}
