//! The catalogue of permissions, and which roles may do what.

use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::output::{self, Format};
use crate::cli::{names, page};
use crate::transport::grpc::pb;

#[derive(Debug, Args)]
pub(super) struct Permissions {
    /// Such as `feature = "Devices"` or `privileged = true`
    #[arg(long, default_value = "")]
    filter: String,
    #[command(flatten)]
    limit: page::Limit,
}

#[derive(Debug, Args)]
pub(super) struct Matrix {
    /// A role pack, such as `opspilot365`
    #[arg(required_unless_present = "roles", conflicts_with_all = ["roles", "permissions"])]
    pack: Option<String>,
    /// A role to compare; repeat for more
    #[arg(long = "role", value_name = "ROLE", requires = "permissions")]
    roles: Vec<String>,
    /// A permission to compare the roles on; repeat for more
    #[arg(long = "permission", value_name = "PERMISSION", requires = "roles")]
    permissions: Vec<String>,
}

pub(super) async fn permissions(connection: &Connection, arguments: Permissions, format: Format) -> anyhow::Result<()> {
    let mut client = connection.roles();
    let permissions = page::follow(arguments.limit.count, async |page_size, page_token| {
        let request = pb::ListPermissionsRequest { page_size, page_token, filter: arguments.filter.clone() };
        let page = client.list_permissions(request).await?.into_inner();
        Ok((page.permissions, page.next_page_token))
    })
    .await?;
    let header = ["PERMISSION", "TITLE", "FEATURE", "FLAGS", "OWNER"];
    output::list(format, &permissions, &header, |permission| {
        let flags = [
            (permission.privileged, "privileged"),
            (permission.reserved, "reserved"),
            (permission.from_outside, "from_outside"),
            (permission.on_suspended, "on_suspended"),
        ];
        let flags: Vec<_> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name).collect();
        vec![
            permission.name.clone(),
            permission.title.clone(),
            permission.feature.clone(),
            flags.join(" "),
            permission.owner.clone(),
        ]
    })
}

pub(super) async fn matrix(connection: &Connection, arguments: Matrix, format: Format) -> anyhow::Result<()> {
    let request = pb::GetPermissionMatrixRequest {
        pack: arguments.pack.unwrap_or_default(),
        roles: arguments.roles.iter().map(|role| names::role(role)).collect(),
        permissions: arguments.permissions,
    };
    let matrix = connection.roles().get_permission_matrix(request).await?.into_inner();
    match format {
        Format::Table => output::write(&table(&matrix)),
        Format::Json => output::one(format, &matrix),
    }
}

fn table(matrix: &pb::GetPermissionMatrixResponse) -> String {
    let roles = matrix.roles.iter().map(|role| names::short(role));
    let header: Vec<_> = ["", ""].into_iter().chain(roles).collect();
    let rows = matrix.rows.iter().map(|row| {
        let title = if row.title.is_empty() { row.permissions.join(", ") } else { row.title.clone() };
        [row.id.clone(), title].into_iter().chain(row.cells.iter().map(cell_text)).collect()
    });
    output::table(&header, rows)
}

/// A cell as people read it.
fn cell_text(cell: &pb::MatrixCell) -> String {
    let assigned = if cell.scope() == pb::MatrixScope::Assigned { ", assigned" } else { "" };
    match cell.value() {
        pb::MatrixValue::Unspecified => "?".to_owned(),
        pb::MatrixValue::Yes => format!("Yes{assigned}"),
        pb::MatrixValue::WithApproval => format!("With approval{assigned}"),
        pb::MatrixValue::Partial => cell.allowed_permissions.join(", "),
        pb::MatrixValue::No => "—".to_owned(),
    }
}
