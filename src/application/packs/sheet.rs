//! The keys of a pack's file, as packs/README.md lists them. Unknown and repeated ones are refused.
//!
//! Not here: what the values mean. Those that are names are still plain text.

use serde::Deserialize;

use crate::domain::account::{AccountKind, PartnerAccess};
use crate::domain::binding::Reach;
use crate::domain::peer::PeerKind;
use crate::domain::role::{AssuranceLevel, Condition};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sheet {
    pub(super) pack: String,
    pub(super) title: String,
    pub(super) source: String,
    #[serde(default)]
    pub(super) permissions: Vec<PermissionSheet>,
    #[serde(default)]
    pub(super) roles: Vec<RoleSheet>,
    #[serde(default)]
    pub(super) templates: Vec<TemplateSheet>,
    pub(super) matrix: Option<MatrixSheet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PermissionSheet {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) feature: String,
    #[serde(default)]
    pub(super) flags: Vec<Flag>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(super) enum Flag {
    Privileged,
    Reserved,
    FromOutside,
    OnSuspended,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleSheet {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    #[serde(default = "yes")]
    pub(super) assignable: bool,
    pub(super) max_holders: Option<u32>,
    #[serde(default)]
    pub(super) peer_kinds: Vec<PeerKind>,
    #[serde(default)]
    pub(super) account_kinds: Vec<AccountKind>,
    #[serde(default)]
    pub(super) reaches: Vec<Reach>,
    #[serde(default)]
    pub(super) requires_justification: bool,
    #[serde(default)]
    pub(super) min_assurance: AssuranceLevel,
    #[serde(default)]
    pub(super) grantable_roles: Vec<String>,
    pub(super) session_role: Option<String>,
    #[serde(default)]
    pub(super) peer_fields: Vec<String>,
    pub(super) grants: Vec<GrantSheet>,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantSheet {
    pub(super) allow: Option<String>,
    pub(super) deny: Option<String>,
    #[serde(default)]
    pub(super) approval: bool,
    pub(super) step_up: Option<StepUpSheet>,
    #[serde(default)]
    pub(super) when: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUpSheet {
    pub(super) level: AssuranceLevel,
    pub(super) max_age_minutes: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateSheet {
    pub(super) account_kind: AccountKind,
    pub(super) first_peer_role: String,
    #[serde(default)]
    pub(super) settings: TemplateSettings,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct TemplateSettings {
    pub(super) partner_access: Option<PartnerAccess>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatrixSheet {
    pub(super) columns: Vec<ColumnSheet>,
    pub(super) rows: Vec<RowSheet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnSheet {
    pub(super) role: String,
    pub(super) scope: Option<ScopeSheet>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum ScopeSheet {
    All,
    Assigned,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowSheet {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) permissions: Vec<String>,
    pub(super) cells: Vec<CellSheet>,
}

#[derive(Deserialize)]
pub(super) enum CellSheet {
    #[serde(rename = "YES")]
    Yes,
    #[serde(rename = "WITH_APPROVAL")]
    WithApproval,
    #[serde(rename = "NO")]
    No,
    #[serde(rename = "partial")]
    Partial(Vec<String>),
}

/// Reads the text of a file.
pub(super) fn parse(yaml: &str) -> Result<Sheet, serde_saphyr::Error> {
    // YES and NO are cells of a matrix and never booleans.
    serde_saphyr::from_str_with_options(yaml, serde_saphyr::options! { strict_booleans: true, with_snippet: false })
}
