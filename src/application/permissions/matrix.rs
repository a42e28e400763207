//! Permission matrices: which of some roles may do what, each cell a decision of the engine.
//!
//! A pack says which rows and columns its matrix has; what stands in the cells is asked anew, of the
//! roles and the catalogue as they are now.

use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Result, Violation};
use crate::application::guard::View;
use crate::application::packs::{Pack, Packs};
use crate::application::roles::{self, admit_anywhere, is_visible, missing};
use crate::decision::compile::Compiler;
use crate::decision::matrix::{self, Cell, Scope};
use crate::decision::snapshot::{RoleRecord, Snapshot, SnapshotError};
use crate::domain::ids::RoleId;
use crate::domain::invalid::Invalid;
use crate::domain::permission::{Permission, PermissionName};

/// Which matrix is asked for.
#[derive(Debug, Clone)]
pub enum MatrixRequest {
    Pack(String),
    /// One row for each permission.
    Of {
        roles: Vec<RoleId>,
        permissions: Vec<PermissionName>,
    },
}

/// What a matrix asks about together. It has one cell for each column.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub permissions: Vec<PermissionName>,
    pub cells: Vec<Cell>,
}

/// A matrix with every cell as the engine answers it.
#[derive(Debug, Clone)]
pub struct PermissionMatrix {
    pub columns: Vec<(RoleId, Scope)>,
    pub rows: Vec<Row>,
    pub revision: i64,
}

/// Asks the engine for a matrix.
///
/// # Errors
/// [`Error::Denied`] where the caller may view roles nowhere; [`Error::NotFound`] where the pack or a
/// role is missing or hidden, [`Error::PermissionUnknown`] where a permission is not registered.
pub async fn get(ctx: &Ctx, call: &Call, request: MatrixRequest) -> Result<PermissionMatrix> {
    let snapshot = ctx.snapshot();
    let view = View::of_caller(&snapshot, &call.caller, ctx.clock.now())?;
    admit_anywhere(&view, roles::VIEW)?;
    let (roles, rows) = match request {
        MatrixRequest::Pack(pack) => of_pack(&ctx.packs, &snapshot, &pack)?,
        MatrixRequest::Of { roles, permissions } => {
            check_registered(&snapshot, &permissions)?;
            (roles, permissions.into_iter().map(|permission| single(&snapshot, permission)).collect())
        }
    };
    let find = |id: &RoleId| {
        let record = snapshot.find_role(id).and_then(|index| snapshot.role(index));
        record.filter(|record| is_visible(&view, &record.fact)).cloned().ok_or_else(|| missing(id))
    };
    let columns: Vec<RoleRecord> = roles.iter().map(find).collect::<Result<_>>()?;
    let catalogue = catalogue(&snapshot, &rows);
    let revision = snapshot.revision();
    // Asking casbin about many roles takes a while, so it neither holds up a thread that serves
    // others nor the compiler that changes of policy need.
    let asked = tokio::task::spawn_blocking(move || ask(&columns, &catalogue, rows)).await;
    let (columns, rows) = asked.map_err(|error| Error::Internal(error.into()))??;
    Ok(PermissionMatrix { columns, rows, revision })
}

type Asked = (Vec<(RoleId, Scope)>, Vec<Row>);

fn ask(roles: &[RoleRecord], catalogue: &[Permission], mut rows: Vec<Row>) -> Result<Asked, SnapshotError> {
    let mut compiler = Compiler::new()?;
    let permissions: Vec<Vec<PermissionName>> = rows.iter().map(|row| row.permissions.clone()).collect();
    let mut columns = Vec::with_capacity(roles.len());
    for role in roles {
        let answers = matrix::column(role, catalogue, &permissions, &mut compiler)?;
        columns.push((role.fact.id.clone(), matrix::scope(&role.fact)));
        for (row, cell) in rows.iter_mut().zip(answers) {
            row.cells.push(cell);
        }
    }
    Ok((columns, rows))
}

/// The columns and rows that a pack lays down. One without a matrix of its own shows all of its
/// roles and permissions.
fn of_pack(packs: &Packs, snapshot: &Snapshot, id: &str) -> Result<(Vec<RoleId>, Vec<Row>)> {
    let pack: &Pack =
        packs.iter().find(|pack| pack.id == id).ok_or_else(|| Error::not_found("pack", format!("packs/{id}")))?;
    let Some(matrix) = &pack.matrix else {
        let roles = pack.roles.iter().map(|role| role.fact.id.clone()).collect();
        let permissions = pack.permissions.iter().map(|permission| single(snapshot, permission.name.clone()));
        return Ok((roles, permissions.collect()));
    };
    let roles = matrix.columns.iter().map(|column| column.role.clone()).collect();
    let rows = matrix.rows.iter().map(|row| Row {
        id: row.id.clone(),
        title: row.title.clone(),
        permissions: row.permissions.clone(),
        cells: Vec::with_capacity(matrix.columns.len()),
    });
    Ok((roles, rows.collect()))
}

/// A row about one permission.
fn single(snapshot: &Snapshot, permission: PermissionName) -> Row {
    let known = snapshot.find_permission(permission.as_str()).and_then(|index| snapshot.permission(index));
    let title = known.map(|known| known.title.clone()).unwrap_or_default();
    Row { id: String::new(), title, permissions: vec![permission], cells: Vec::new() }
}

fn check_registered(snapshot: &Snapshot, permissions: &[PermissionName]) -> Result<()> {
    let unknown: Vec<(String, &PermissionName)> = permissions
        .iter()
        .enumerate()
        .filter(|(_, name)| snapshot.find_permission(name.as_str()).is_none())
        .map(|(place, name)| (format!("permissions[{place}]"), name))
        .collect();
    match unknown.as_slice() {
        [] => Ok(()),
        [(field, name)] => Err(Error::PermissionUnknown { field: field.clone(), name: name.to_string() }),
        several => {
            let violation = |(field, _): &(String, _)| Violation::new(field.clone(), Invalid::NotRegistered);
            Err(Error::Invalid(several.iter().map(violation).collect()))
        }
    }
}

/// The part of the catalogue that the rows ask about: no other permission has a say in a cell.
fn catalogue(snapshot: &Snapshot, rows: &[Row]) -> Vec<Permission> {
    let mut names: Vec<&PermissionName> = rows.iter().flat_map(|row| &row.permissions).collect();
    names.sort_unstable();
    names.dedup();
    let find = |name: &PermissionName| snapshot.find_permission(name.as_str()).and_then(|at| snapshot.permission(at));
    names.into_iter().filter_map(find).cloned().collect()
}
