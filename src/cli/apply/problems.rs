//! Everything that is wrong with a file, by line, and the reader of maps that collects it.

use std::fmt::{self, Write as _};

use super::yaml::{Node, Value};

/// What is wrong, where. Line 0 is the file as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<(u64, String)>);

impl Problems {
    pub(crate) fn one(line: u64, text: impl Into<String>) -> Self {
        Self(vec![(line, text.into())])
    }

    pub(crate) fn add(&mut self, line: u64, text: impl Into<String>) {
        self.0.push((line, text.into()));
    }

    /// Adds what else was found.
    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether something is wrong in a line already.
    pub(crate) fn has(&self, line: u64) -> bool {
        self.0.iter().any(|(other, _)| *other == line)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `Ok` where nothing is wrong.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// What is wrong but for some of it.
    pub(crate) fn without(self, is_dropped: impl Fn(&str) -> bool) -> Self {
        Self(self.0.into_iter().filter(|(_, text)| !is_dropped(text)).collect())
    }

    /// The same in other words.
    pub(crate) fn reworded(self, reword: impl Fn(&str) -> String) -> Self {
        Self(self.0.into_iter().map(|(line, text)| (line, reword(&text))).collect())
    }

    /// A line each, in the order of the file.
    pub(crate) fn show(&self, file: &str) -> String {
        self.show_with(file, "nothing was changed")
    }

    /// As [`Problems::show`], with what came of it.
    pub(crate) fn show_with(&self, file: &str, so: &str) -> String {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted.dedup();
        let mut text = match sorted.len() {
            1 => format!("{file} is wrong, and {so}:"),
            many => format!("{file} is wrong in {many} places, and {so}:"),
        };
        for (line, problem) in sorted {
            // Writing to a string never fails.
            let _ = match line {
                0 => write!(text, "\n  {file}: {problem}"),
                line => write!(text, "\n  {file}:{line}: {problem}"),
            };
        }
        text
    }
}

/// A value with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) line: u64,
    pub(crate) value: T,
}

/// A map that is being read: what it should not hold, lacks or holds wrongly becomes a problem.
pub(crate) struct Fields<'n, 'p> {
    line: u64,
    entries: Vec<(&'n str, &'n Node)>,
    problems: &'p mut Problems,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// Opens a map whose keys are all known.
    pub(crate) fn open(node: &'n Node, known: &[&str], problems: &'p mut Problems) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            problems.add(node.line, format!("must be a map with {}", words(known)));
            return None;
        };
        let mut entries: Vec<(&str, &Node)> = Vec::new();
        for (key, value) in map {
            let name = match &key.value {
                Value::Text(name) => name.as_str(),
                Value::Empty | Value::List(_) | Value::Map(_) => "",
            };
            if known.contains(&name) {
                entries.push((name, value));
            } else {
                problems.add(key.line, unknown(name, known));
            }
        }
        Some(Self { line: node.line, entries, problems })
    }

    /// The node of a key; an empty value is as good as none.
    pub(crate) fn node(&self, key: &str) -> Option<&'n Node> {
        let found = self.entries.iter().find(|(name, _)| *name == key);
        found.map(|(_, node)| *node).filter(|node| !matches!(node.value, Value::Empty))
    }

    /// Refuses keys without a value, where one that says nothing looks as if it said something.
    pub(crate) fn refuse_blanks(&mut self) {
        for (name, value) in self.entries.iter().filter(|(_, value)| matches!(value.value, Value::Empty)) {
            self.problems.add(value.line, format!("`{name}` has no value; leave it out where nothing is meant"));
        }
    }

    pub(crate) fn problem(&mut self, line: u64, text: impl Into<String>) {
        self.problems.add(line, text);
    }

    pub(crate) fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// A text, read by `parse`.
    pub(crate) fn find<T, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let node = self.node(key)?;
        read(key, node, parse, self.problems)
    }

    /// As [`Fields::find`], and must be there.
    pub(crate) fn get<T, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        if self.node(key).is_none() {
            self.problems.add(self.line, format!("lacks `{key}`"));
            return None;
        }
        self.find(key, parse)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        let read = self.find(key, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be `true` or `false`"),
        });
        read.map(|at| at.value)
    }

    /// A list of texts, each read by `parse`.
    pub(crate) fn list<T, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<At<T>>> {
        let node = self.node(key)?;
        let Value::List(items) = &node.value else {
            self.problems.add(node.line, format!("`{key}` must be a list"));
            return None;
        };
        Some(items.iter().filter_map(|item| read(key, item, &parse, self.problems)).collect())
    }
}

/// Reads one text.
pub(crate) fn read<T, E: fmt::Display>(
    key: &str,
    node: &Node,
    parse: impl FnOnce(&str) -> Result<T, E>,
    problems: &mut Problems,
) -> Option<At<T>> {
    let Value::Text(text) = &node.value else {
        problems.add(node.line, format!("`{key}` must be a text"));
        return None;
    };
    match parse(text) {
        Ok(value) => Some(At { line: node.line, value }),
        Err(error) => {
            problems.add(node.line, format!("`{key}` {error}, not `{text}`"));
            None
        }
    }
}

/// A long list of what is known would hide what is wrong; the nearest word is what was meant.
fn unknown(name: &str, known: &[&str]) -> String {
    let meant = known.iter().find(|word| word.starts_with(name) || name.starts_with(**word) || is_near(name, word));
    match meant {
        Some(word) if !name.is_empty() => format!("`{name}` is unknown here; `{word}` is known"),
        _ => format!("`{name}` is unknown here; known are {}", words(known)),
    }
}

/// Whether two words have the same letters, but for one that was left out, added or swapped.
fn is_near(left: &str, right: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().filter(|letter| letter.is_alphanumeric()).collect();
        letters.sort_unstable();
        letters
    };
    let (left, right) = (sorted(left), sorted(right));
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    let mut rest = long.iter();
    long.len() - short.len() <= 1 && short.iter().all(|letter| rest.any(|other| other == letter))
}

fn words(known: &[&str]) -> String {
    known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
