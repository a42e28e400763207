//! The words of small enums: as the API, filters, columns, the change feed and audit events have them.
//!
//! They are written out, because a renamed variant must not change what is stored; a test holds them
//! to what serde writes.

/// Gives enums their words, with `as_str` and `parse`.
macro_rules! words {
    ($($type:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* $(,)? })*) => {
        $(
            impl $type {
                /// The word by which it is known outside.
                #[must_use]
                pub const fn as_str(self) -> &'static str {
                    match self {
                        Self::$first => $first_word,
                        $(Self::$variant => $word,)*
                    }
                }

                /// Reads a word.
                ///
                /// # Errors
                /// [`Invalid::Unknown`](crate::domain::invalid::Invalid::Unknown) lists the words there are.
                pub fn parse(word: &str) -> Result<Self, crate::domain::invalid::Invalid> {
                    match word {
                        $first_word => Ok(Self::$first),
                        $($word => Ok(Self::$variant),)*
                        _ => Err(crate::domain::invalid::Invalid::Unknown {
                            choices: concat!($first_word $(, ", ", $word)*),
                        }),
                    }
                }
            }
        )*

        #[cfg(test)]
        mod words_tests {
            use super::*;

            #[test]
            fn words_are_what_serde_writes() {
                $(
                    for value in [$type::$first $(, $type::$variant)*] {
                        assert_eq!(serde_json::to_value(value).unwrap(), value.as_str());
                        assert_eq!($type::parse(value.as_str()), Ok(value));
                    }
                    assert!($type::parse("").is_err());
                )*
            }
        }
    };
}
pub(super) use words;
