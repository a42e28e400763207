//! Role packs: the permissions, built-in roles, account templates and matrices that the binary brings
//! along as data, in `packs/*.yaml`.
//!
//! INVARIANT: a [`Packs`] is whole: every name in it is known, a permission that two packs list is
//! the same in both and belongs to the first, and ids are unique. [`Packs::verify`] also holds every
//! matrix against the engine.
//!
//! Not here: any rule about a given product. Beyond load order, only `core` is known by name, since it
//! is on everywhere and its operator holds every reserved permission.

mod error;
mod install;
mod read;
mod sheet;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::error::{Error, Precondition, Result};
use crate::decision::compile::{CompiledRole, Compiler};
use crate::decision::matrix::{self, Cell, Scope};
use crate::decision::snapshot::RoleRecord;
use crate::domain::account::{AccountKind, PartnerAccess};
use crate::domain::fact::RoleFact;
use crate::domain::ids::RoleId;
use crate::domain::permission::{Permission, PermissionName, PermissionOwner};

pub use error::PackError;
pub use install::install;

/// The pack that is on everywhere.
pub const CORE: &str = "core";
/// The role that holds every reserved permission by name, also those that services register later.
pub const OPERATOR: &str = "core.operator";

/// The packs of this release in load order, each with the name of its file.
const EMBEDDED: [(&str, &str); 5] = [
    (CORE, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/core.yaml"))),
    ("mspcontrol", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/mspcontrol.yaml"))),
    ("msp-panel", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/msp-panel.yaml"))),
    ("opspilot365", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/opspilot365.yaml"))),
    ("keepit", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packs/keepit.yaml"))),
];

/// A pack as it was read.
#[derive(Debug, Clone)]
pub struct Pack {
    pub id: String,
    pub title: String,
    /// The document that the pack follows, and what in it is ours.
    pub source: String,
    /// What the pack lists, also what an earlier pack owns.
    pub permissions: Vec<Permission>,
    pub roles: Vec<PackRole>,
    pub templates: Vec<Template>,
    pub matrix: Option<Matrix>,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// A built-in role with its texts.
#[derive(Debug, Clone)]
pub struct PackRole {
    pub fact: Arc<RoleFact>,
    pub title: String,
    pub description: String,
}

/// What CreateAccount makes with an account of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub account_kind: AccountKind,
    /// Bound to the first peer with SUBTREE reach.
    pub first_peer_role: RoleId,
    pub partner_access: Option<PartnerAccess>,
}

/// What a pack says that the engine answers.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A role of a matrix, and where it can be given.
#[derive(Debug, Clone)]
pub struct Column {
    pub role: RoleId,
    pub scope: Scope,
}

/// Permissions that are asked about together. It has one cell for each column.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub permissions: Vec<PermissionName>,
    pub cells: Vec<Cell>,
}

/// All packs in load order.
#[derive(Debug, Clone)]
pub struct Packs {
    packs: Vec<Pack>,
    catalogue: Vec<Permission>,
}

impl Packs {
    /// Reads the packs of this release.
    ///
    /// # Errors
    /// [`PackError`] names the pack and the place of the first thing that is wrong.
    pub fn embedded() -> std::result::Result<Self, PackError> {
        Self::read(&EMBEDDED)
    }

    fn read(files: &[(&str, &str)]) -> std::result::Result<Self, PackError> {
        let mut packs: Vec<Pack> = Vec::with_capacity(files.len());
        let mut catalogue: Vec<Permission> = Vec::new();
        for (id, text) in files {
            let pack = read::pack(id, text, &packs)?;
            catalogue.extend(pack.permissions.iter().filter(|permission| is_owned_by(permission, id)).cloned());
            packs.push(pack);
        }
        let all = Self { packs, catalogue };
        all.check_references()?;
        Ok(all)
    }

    /// Roles name each other across packs, also later ones, so this waits until all are read.
    fn check_references(&self) -> std::result::Result<(), PackError> {
        for pack in &self.packs {
            for role in &pack.roles {
                let rules = &role.fact.rules;
                let named = rules.grantable_roles.iter().chain(&rules.session_role);
                if let Some(unknown) = named.into_iter().find(|id| self.role(id).is_none()) {
                    return Err(PackError::Unknown {
                        pack: pack.id.clone(),
                        place: format!("role `{}`", role.fact.id),
                        name: unknown.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The packs in load order.
    pub fn iter(&self) -> impl Iterator<Item = &Pack> {
        self.packs.iter()
    }

    /// Every permission of every pack once, in load order.
    #[must_use]
    pub fn catalogue(&self) -> &[Permission] {
        &self.catalogue
    }

    /// Every built-in role, in load order.
    pub fn roles(&self) -> impl Iterator<Item = &PackRole> {
        self.packs.iter().flat_map(|pack| &pack.roles)
    }

    /// A built-in role.
    #[must_use]
    pub fn role(&self, id: &RoleId) -> Option<&PackRole> {
        self.roles().find(|role| role.fact.id == *id)
    }

    /// Whether there is a pack of that id.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.packs.iter().any(|pack| pack.id == id)
    }

    /// The matrix of a pack, if it has one.
    #[must_use]
    pub fn matrix(&self, pack: &str) -> Option<&Matrix> {
        self.packs.iter().find(|known| known.id == pack)?.matrix.as_ref()
    }

    /// The template for a new account of a kind. `switched_on` is the `role_packs` setting that holds
    /// for the account, `None` where all packs are on; `named` is the pack that the request names.
    /// Without either, several may apply, and then nothing is guessed.
    ///
    /// # Errors
    /// [`Precondition::TemplateAmbiguous`] lists the packs of which one has to be named;
    /// [`Precondition::TemplateNotAvailable`] where the named one has no template for the kind here.
    pub fn template(
        &self,
        kind: AccountKind,
        switched_on: Option<&[String]>,
        named: Option<&str>,
    ) -> Result<Option<&Template>> {
        let is_on = |pack: &Pack| pack.id == CORE || switched_on.is_none_or(|on| on.contains(&pack.id));
        let applies: Vec<(&str, &Template)> = self
            .packs
            .iter()
            .filter(|pack| is_on(pack))
            .flat_map(|pack| pack.templates.iter().map(|template| (pack.id.as_str(), template)))
            .filter(|(_, template)| template.account_kind == kind)
            .collect();
        if let Some(named) = named {
            let found = applies.into_iter().find(|(pack, _)| *pack == named);
            let (_, template) = found.ok_or_else(|| Error::precondition(Precondition::TemplateNotAvailable, named))?;
            return Ok(Some(template));
        }
        match applies.as_slice() {
            [] => Ok(None),
            [(_, only)] => Ok(Some(only)),
            several => {
                let packs: Vec<&str> = several.iter().map(|(pack, _)| *pack).collect();
                Err(Error::precondition(Precondition::TemplateAmbiguous, packs.join(", ")))
            }
        }
    }

    /// Asks the engine for every cell of every matrix.
    ///
    /// # Errors
    /// [`PackError::Cell`] and [`PackError::Scope`] where it answers otherwise than a pack says.
    pub fn verify(&self, compiler: &mut Compiler) -> std::result::Result<(), PackError> {
        for pack in &self.packs {
            let Some(matrix) = &pack.matrix else { continue };
            for (place, column) in matrix.columns.iter().enumerate() {
                self.verify_column(&pack.id, matrix, place, column, compiler)?;
            }
        }
        Ok(())
    }

    fn verify_column(
        &self,
        pack: &str,
        matrix: &Matrix,
        place: usize,
        column: &Column,
        compiler: &mut Compiler,
    ) -> std::result::Result<(), PackError> {
        let (pack, name) = (pack.to_owned(), column.role.to_string());
        let Some(role) = self.role(&column.role) else {
            return Err(PackError::Unknown { pack, place: "matrix".to_owned(), name });
        };
        let got = matrix::scope(&role.fact);
        if got != column.scope {
            return Err(PackError::Scope { pack, column: name, wanted: column.scope, got });
        }
        let rows: Vec<Vec<PermissionName>> = matrix.rows.iter().map(|row| row.permissions.clone()).collect();
        let record = RoleRecord { fact: Arc::clone(&role.fact), compiled: CompiledRole::default(), gone: false };
        let answers = match matrix::column(&record, &self.catalogue, &rows, compiler) {
            Ok(answers) => answers,
            Err(source) => return Err(PackError::Engine { pack, column: name, source }),
        };
        for (row, got) in matrix.rows.iter().zip(answers) {
            let wanted = row.cells.get(place);
            if wanted != Some(&got) {
                let wanted = wanted.map_or_else(|| "nothing".to_owned(), cell_text);
                let got = cell_text(&got);
                return Err(PackError::Cell { pack, row: row.id.clone(), column: name, wanted, got });
            }
        }
        Ok(())
    }
}

fn is_owned_by(permission: &Permission, pack: &str) -> bool {
    matches!(&permission.owner, PermissionOwner::Pack(owner) if owner == pack)
}

/// A cell as a pack writes it.
fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Yes => "YES".to_owned(),
        Cell::WithApproval => "WITH_APPROVAL".to_owned(),
        Cell::No => "NO".to_owned(),
        Cell::Partial(permissions) => {
            let names: Vec<&str> = permissions.iter().map(PermissionName::as_str).collect();
            format!("{{ partial: [{}] }}", names.join(", "))
        }
    }
}
