//! How a part of a text is asked for in a trigram index: every character stands for itself.

use sea_orm::sea_query::LikeExpr;

/// What PostgreSQL's index of `pg_trgm` finds: texts that hold a part.
pub(super) fn like(part: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('\\')
}

/// What SQLite's FTS5 finds: a string of its own, in which a quote is doubled.
pub(super) fn phrase(part: &str) -> String {
    format!("\"{}\"", part.replace('"', "\"\""))
}
