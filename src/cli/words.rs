//! Enum values as words: `CUSTOMER` for `ACCOUNT_KIND_CUSTOMER`, both in tables and as input.
//!
//! What is printed are the words of the contract. In YAML files and on the command line lower case and
//! hyphens work too: `own-peers` for `OWN_PEERS`.

use clap::ValueEnum;

use crate::transport::grpc::pb;

/// An enum of the contract whose values people read and write as words.
pub(crate) trait Word: Copy + Sized {
    /// What every value's name begins with.
    const PREFIX: &'static str;

    fn value_name(self) -> &'static str;
    fn from_value_name(name: &str) -> Option<Self>;
    fn from_number(number: i32) -> Option<Self>;

    /// The word of a number from the wire: `-` for an unset value, the number where it is unknown.
    fn of(number: i32) -> String {
        match Self::from_number(number) {
            Some(value) => match value.word() {
                "UNSPECIFIED" => "-".to_owned(),
                word => word.to_owned(),
            },
            None => number.to_string(),
        }
    }

    fn word(self) -> &'static str {
        self.value_name().strip_prefix(Self::PREFIX).unwrap_or_default()
    }

    /// Reads a word in either case; `UNSPECIFIED` is none.
    fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_uppercase().replace('-', "_");
        if word == "UNSPECIFIED" { None } else { Self::from_value_name(&format!("{}{word}", Self::PREFIX)) }
    }
}

macro_rules! words {
    ($($name:ident = $prefix:literal;)*) => {$(
        impl Word for pb::$name {
            const PREFIX: &'static str = $prefix;

            fn value_name(self) -> &'static str {
                self.as_str_name()
            }

            fn from_value_name(name: &str) -> Option<Self> {
                Self::from_str_name(name)
            }

            fn from_number(number: i32) -> Option<Self> {
                Self::try_from(number).ok()
            }
        }
    )*};
}

words! {
    AccountKind = "ACCOUNT_KIND_";
    AccountState = "ACCOUNT_STATE_";
    ApiKeyState = "API_KEY_STATE_";
    AssuranceLevel = "ASSURANCE_LEVEL_";
    AuditOutcome = "AUDIT_OUTCOME_";
    DayOfWeek = "DAY_OF_WEEK_";
    BindingMode = "BINDING_MODE_";
    Decision = "DECISION_";
    DecisionReason = "DECISION_REASON_";
    GrantEffect = "GRANT_EFFECT_";
    GrantOutcome = "GRANT_OUTCOME_";
    MailFormat = "MAIL_FORMAT_";
    MatrixScope = "MATRIX_SCOPE_";
    MatrixValue = "MATRIX_VALUE_";
    MicrosoftAccountStatus = "MICROSOFT_ACCOUNT_STATUS_";
    PartnerAccessMode = "PARTNER_ACCESS_MODE_";
    PeerKind = "PEER_KIND_";
    PeerState = "PEER_STATE_";
    Reach = "REACH_";
    SuspensionScope = "SUSPENSION_SCOPE_";
    TwoFactorProvider = "TWO_FACTOR_PROVIDER_";
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$alias:meta])* $value:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
        #[value(rename_all = "SCREAMING_SNAKE_CASE")]
        pub(crate) enum $name {
            $($(#[$alias])* $value),*
        }

        impl $name {
            pub(crate) fn number(self) -> i32 {
                match self {
                    $(Self::$value => pb::$name::$value.into(),)*
                }
            }
        }
    )*};
}

choices! {
    /// The answers that can stand in a list.
    Decision { Allow, #[value(alias = "REQUIRES-STEP-UP")] RequiresStepUp, #[value(alias = "REQUIRES-APPROVAL")] RequiresApproval }
    /// The kinds of accounts that can be created.
    AccountKind { Partner, Customer, Department }
    /// What a suspension stops.
    SuspensionScope { Subtree, #[value(alias = "OWN-PEERS")] OwnPeers }
    /// How far partners may act.
    PartnerAccessMode {
        Allowed,
        #[value(alias = "SESSION-ONLY")]
        SessionOnly,
        #[value(alias = "BY-APPROVAL")]
        ByApproval,
        Blocked
    }
    /// What a peer is.
    PeerKind { Person, Device, Integration }
    /// Whether a peer can act.
    PeerState { Enabled, Disabled, Deleted }
    /// The second factor that a peer must use.
    TwoFactorProvider { None, Email, Totp }
    /// The format of mail to a peer.
    MailFormat { Html, #[value(alias = "PLAIN-TEXT")] PlainText }
    /// How far a binding reaches.
    Reach { Subtree, #[value(alias = "ACCOUNT-ONLY")] AccountOnly }
    /// How an act came out.
    AuditOutcome { Success, Denied, Failed }
    /// Whether a binding counts by itself.
    BindingMode { Active, Eligible }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        assert_eq!(pb::AccountKind::parse("CUSTOMER"), Some(pb::AccountKind::Customer));
        assert_eq!(pb::AccountKind::parse("UNSPECIFIED"), None);
        assert_eq!(pb::AccountKind::parse("customer"), Some(pb::AccountKind::Customer));
        assert_eq!(pb::AccountKind::parse("unspecified"), None);
        assert_eq!(pb::Reach::parse("account-only"), Some(pb::Reach::AccountOnly));
        assert_eq!(pb::DecisionReason::of(pb::DecisionReason::NoMatchingGrant.into()), "NO_MATCHING_GRANT");
        assert_eq!(pb::Reach::of(0), "-");
        assert_eq!(pb::Reach::of(77), "77");
    }

    #[test]
    fn flags_take_the_words_of_tables_and_lower_case() {
        for word in ["OWN_PEERS", "own_peers", "own-peers", "Own-Peers"] {
            assert_eq!(SuspensionScope::from_str(word, true), Ok(SuspensionScope::OwnPeers), "{word}");
        }
        for word in ["PLAIN_TEXT", "plain-text"] {
            assert_eq!(MailFormat::from_str(word, true), Ok(MailFormat::PlainText), "{word}");
        }
        for (words, number) in
            [(["ACCOUNT_ONLY", "account-only"], pb::Reach::AccountOnly), (["subtree", "SUBTREE"], pb::Reach::Subtree)]
        {
            for word in words {
                assert_eq!(Reach::from_str(word, true).unwrap().number(), i32::from(number), "{word}");
            }
        }
    }
}
