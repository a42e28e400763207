//! Why a value was refused. Transport names the field; this names the reason, in words for a person.

use super::password::PasswordFault;
use super::photo::PhotoFault;

/// One reason why one value is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {max} characters long")]
    TooLong { max: usize },
    #[error("must be at most {max} items long")]
    TooMany { max: usize },
    #[error("must be at least {min} and at most {max}")]
    OutOfRange { min: i64, max: i64 },
    #[error("must not be negative")]
    Negative,
    #[error("must not contain control, bidirectional or invisible characters")]
    Character,
    #[error("must look like {form}")]
    Form { form: &'static str },
    #[error("at character {position}: {why}")]
    At { position: usize, why: &'static str },
    #[error("contains `{value}` more than once")]
    Duplicate { value: String },
    #[error("must be set")]
    Missing,
    #[error("must not be set: {why}")]
    NotAllowed { why: &'static str },
    #[error("must be `{value}`: {why}")]
    MustBe { value: bool, why: &'static str },
    #[error("is not supported by this release")]
    Unsupported,
    #[error("names {what}")]
    Names { what: &'static str },
    #[error("is not a registered permission")]
    NotRegistered,
    #[error("is output only")]
    OutputOnly,
    #[error("is not one of {choices}")]
    Unknown { choices: &'static str },
    #[error("names {paths}: not one of {choices}")]
    Paths { paths: String, choices: &'static str },
    #[error("must be after {other}")]
    Order { other: &'static str },
    #[error(transparent)]
    Password(#[from] PasswordFault),
    #[error(transparent)]
    Photo(#[from] PhotoFault),
}
