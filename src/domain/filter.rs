//! The language of filters: a subset of AIP-160, the same for every list.
//!
//! ```text
//! filter      = [ expression ]
//! expression  = factor { "AND" factor }
//! factor      = term { "OR" term }                  OR binds closer than AND, as AIP-160 has it
//! term        = [ "NOT" | "-" ] ( "(" expression ")" | restriction )
//! restriction = field operator value
//! operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! field       = a to z, 0 to 9, "_", ".", "-"
//! value       = a string in double quotes, in which "\" protects the next character, or a word
//! ```
//!
//! Of AIP-160 there are no functions, no wildcards but a `*` alone after `:`, and no terms without a
//! field. What is wrong is told with its place, the first character being 1.
//!
//! INVARIANT: length, depth and number of restrictions are bounded, so that a filter costs little to
//! read and little to test.
//!
//! Not here: what the fields mean, and which a list knows.

use super::invalid::Invalid;

/// The longest filter, in characters.
pub const FILTER_MAX: usize = 1024;
/// The most restrictions in a filter.
pub const RESTRICTIONS_MAX: usize = 64;
/// How deep parentheses and negations may nest.
pub const DEPTH_MAX: usize = 16;

/// How a field compares to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `field:*` asks whether the field is set.
    Has,
}

/// One comparison. Places are those of the field, of the operator and of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    pub field: String,
    pub operator: Operator,
    pub value: String,
    pub field_at: usize,
    pub operator_at: usize,
    pub value_at: usize,
}

/// A filter, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    And(Vec<Node>),
    /// With the place of the first `OR`.
    Or(usize, Vec<Node>),
    /// With the place of the negation.
    Not(usize, Box<Node>),
    Is(Restriction),
}

/// Reads a filter; an empty one is none.
///
/// # Errors
/// [`Invalid`] naming the first thing that is wrong, and where it stands.
pub fn parse(text: &str) -> Result<Option<Node>, Invalid> {
    if text.len() > FILTER_MAX * 4 || text.chars().count() > FILTER_MAX {
        return Err(Invalid::TooLong { max: FILTER_MAX });
    }
    let mut parser = Parser { text: text.chars().collect(), next: 0, restrictions: 0 };
    parser.skip_spaces();
    if parser.peek().is_none() {
        return Ok(None);
    }
    let node = parser.expression(0)?;
    match parser.peek() {
        None => Ok(Some(node)),
        Some(')') => Err(parser.error("a parenthesis was not opened")),
        Some(_) => Err(parser.error("`AND`, `OR` or the end was expected")),
    }
}

/// The error at a place.
#[must_use]
pub const fn at(position: usize, why: &'static str) -> Invalid {
    Invalid::At { position, why }
}

struct Parser {
    text: Vec<char>,
    next: usize,
    restrictions: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.text.get(self.next).copied()
    }

    fn place(&self) -> usize {
        self.next + 1
    }

    fn error(&self, why: &'static str) -> Invalid {
        at(self.place(), why)
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next += 1;
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.next += usize::from(is_there);
        is_there
    }

    /// Takes a keyword, after which a space or a parenthesis stands.
    fn keyword(&mut self, word: &str) -> bool {
        let end = self.next + word.len();
        let is_there = self.text.get(self.next..end).is_some_and(|found| found.iter().copied().eq(word.chars()));
        let is_over = self.text.get(end).is_none_or(|after| after.is_whitespace() || matches!(after, '(' | ')'));
        if is_there && is_over {
            self.next = end;
            self.skip_spaces();
        }
        is_there && is_over
    }

    /// Whether a space or a parenthesis stands before the next character, as it does before a keyword.
    fn is_apart(&self) -> bool {
        let before = self.next.checked_sub(1).and_then(|before| self.text.get(before));
        before.is_some_and(|before| before.is_whitespace() || *before == ')')
    }

    fn expression(&mut self, depth: usize) -> Result<Node, Invalid> {
        let mut parts = vec![self.factor(depth)?];
        while self.is_apart() && self.keyword("AND") {
            parts.push(self.factor(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::And(parts) })
    }

    fn factor(&mut self, depth: usize) -> Result<Node, Invalid> {
        let mut parts = vec![self.term(depth)?];
        let place = self.place();
        while self.is_apart() && self.keyword("OR") {
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Or(place, parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Node, Invalid> {
        if depth > DEPTH_MAX {
            return Err(self.error("nested too deep"));
        }
        let place = self.place();
        if self.keyword("NOT") || self.eat('-') {
            return Ok(Node::Not(place, Box::new(self.term(depth + 1)?)));
        }
        if !self.eat('(') {
            return self.restriction().map(Node::Is);
        }
        self.skip_spaces();
        let inner = self.expression(depth + 1)?;
        if !self.eat(')') {
            return Err(self.error("a `)` was expected"));
        }
        self.skip_spaces();
        Ok(inner)
    }

    fn restriction(&mut self) -> Result<Restriction, Invalid> {
        let field_at = self.place();
        self.restrictions += 1;
        if self.restrictions > RESTRICTIONS_MAX {
            return Err(self.error("there are too many comparisons"));
        }
        let mut field = String::new();
        while let Some(character) = self.peek().filter(|one| matches!(one, 'a'..='z' | '0'..='9' | '_' | '.' | '-')) {
            field.push(character);
            self.next += 1;
        }
        if field.is_empty() {
            return Err(self.error("the name of a field was expected"));
        }
        self.skip_spaces();
        let operator_at = self.place();
        let operator = self.operator()?;
        self.skip_spaces();
        let value_at = self.place();
        let value = self.value()?;
        self.skip_spaces();
        Ok(Restriction { field, operator, value, field_at, operator_at, value_at })
    }

    fn operator(&mut self) -> Result<Operator, Invalid> {
        let is_followed = |wanted: char| self.text.get(self.next + 1) == Some(&wanted);
        let (operator, length) = match self.peek() {
            Some('=') => (Operator::Equal, 1),
            Some(':') => (Operator::Has, 1),
            Some('<') if is_followed('=') => (Operator::LessOrEqual, 2),
            Some('<') => (Operator::Less, 1),
            Some('>') if is_followed('=') => (Operator::GreaterOrEqual, 2),
            Some('>') => (Operator::Greater, 1),
            Some('!') if is_followed('=') => (Operator::NotEqual, 2),
            _ => return Err(self.error("one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `:` was expected")),
        };
        self.next += length;
        Ok(operator)
    }

    fn value(&mut self) -> Result<String, Invalid> {
        if self.peek() == Some('"') {
            return self.string();
        }
        let mut word = String::new();
        while let Some(character) = self.peek().filter(|one| !one.is_whitespace() && !"\"=()<>!".contains(*one)) {
            word.push(character);
            self.next += 1;
        }
        if word.is_empty() { Err(self.error("a value was expected")) } else { Ok(word) }
    }

    fn string(&mut self) -> Result<String, Invalid> {
        let open = self.error("a string is not closed");
        let mut value = String::new();
        self.next += 1;
        loop {
            let character = self.peek();
            self.next += 1;
            match character {
                None => return Err(open),
                Some('"') => return Ok(value),
                Some('\\') => {
                    value.push(self.peek().ok_or_else(|| open.clone())?);
                    self.next += 1;
                }
                Some(other) => value.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with parentheses around everything.
    fn shown(node: &Node) -> String {
        let join = |parts: &[Node], word: &str| {
            format!("({})", parts.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} ")))
        };
        match node {
            Node::And(parts) => join(parts, "AND"),
            Node::Or(_, parts) => join(parts, "OR"),
            Node::Not(_, part) => format!("NOT {}", shown(part)),
            Node::Is(one) => format!("{} {:?} {}", one.field, one.operator, one.value),
        }
    }

    #[test]
    fn or_binds_closer_than_and() {
        for (text, wanted) in [
            ("a = b", "a Equal b"),
            ("a=b AND c != \"d e\" OR f:*", "(a Equal b AND (c NotEqual d e OR f Has *))"),
            ("(a < 1 AND b <= 2) OR NOT c > 3", "((a Less 1 AND b LessOrEqual 2) OR NOT c Greater 3)"),
            ("-a >= 1 AND NOT (b = c)", "(NOT a GreaterOrEqual 1 AND NOT b Equal c)"),
            (r#"t = "a \"b\" AND c \\ = d""#, r#"t Equal a "b" AND c \ = d"#),
            ("t < 2026-01-01T00:00:00Z", "t Less 2026-01-01T00:00:00Z"),
            ("a = ANDx AND b = NOT", "(a Equal ANDx AND b Equal NOT)"),
        ] {
            assert_eq!(shown(&parse(text).unwrap().unwrap()), wanted, "{text}");
        }
        assert_eq!(parse("  "), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, position) in [
            ("pack", 5),
            ("pack =", 7),
            ("pack = a b", 10),
            ("pack = a AND", 13),
            ("pack = a OR ", 13),
            ("pack = \"a", 8),
            ("pack = \"a\\", 8),
            ("pack ! a", 6),
            ("(pack = a", 10),
            ("pack = a)", 9),
            ("pack = \"a\"AND role = b", 11),
            ("Pack = a", 1),
            ("é = a", 1),
            ("a = b AND = c", 11),
            ("NOT", 4),
            ("()", 2),
        ] {
            assert!(
                matches!(parse(text), Err(Invalid::At { position: at, .. }) if at == position),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn length_depth_and_number_are_bounded() {
        assert_eq!(parse(&"a".repeat(FILTER_MAX + 1)), Err(Invalid::TooLong { max: FILTER_MAX }));
        let nested = |depth: usize| format!("{}a = b{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert!(parse(&nested(DEPTH_MAX + 1)).is_err());
        assert!(parse(&format!("{}a = b", "-".repeat(500))).is_err());
        let many = |count: usize| vec!["a=b"; count].join(" AND ");
        assert!(parse(&many(RESTRICTIONS_MAX)).is_ok());
        assert!(parse(&many(RESTRICTIONS_MAX + 1)).is_err());
    }
}
