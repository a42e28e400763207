//! Permission matrices: what packs promise, and any roles against any permissions.

use peerage::transport::grpc::pb;
use tonic::{Code, Response, Status};

use super::{Scene, allow, deny, is_missing, refused, update, with_approval};
use crate::support::{Client, bad_fields};

async fn matrix(
    client: &Client,
    request: pb::GetPermissionMatrixRequest,
) -> Result<pb::GetPermissionMatrixResponse, Status> {
    client.roles().get_permission_matrix(request).await.map(Response::into_inner)
}

fn pack(pack: &str) -> pb::GetPermissionMatrixRequest {
    pb::GetPermissionMatrixRequest { pack: pack.to_owned(), ..Default::default() }
}

fn of(roles: &[&str], permissions: &[&str]) -> pb::GetPermissionMatrixRequest {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    pb::GetPermissionMatrixRequest { pack: String::new(), roles: owned(roles), permissions: owned(permissions) }
}

/// A matrix as people write it: a letter a cell, with the scope behind it.
fn drawn(matrix: &pb::GetPermissionMatrixResponse) -> Vec<String> {
    let cell = |cell: &pb::MatrixCell| {
        let value = match cell.value() {
            pb::MatrixValue::Yes => "Y".to_owned(),
            pb::MatrixValue::WithApproval => "?".to_owned(),
            pb::MatrixValue::Partial => format!("({})", cell.allowed_permissions.join(" ")),
            pb::MatrixValue::No => "-".to_owned(),
            pb::MatrixValue::Unspecified => "!".to_owned(),
        };
        let scope = match cell.scope() {
            pb::MatrixScope::All => "*",
            pb::MatrixScope::Assigned => "a",
            pb::MatrixScope::Unspecified => "",
        };
        format!("{value}{scope}")
    };
    let row = |row: &pb::MatrixRow| format!("{} {}", row.id, row.cells.iter().map(cell).collect::<Vec<_>>().join(" "));
    matrix.rows.iter().map(row).collect()
}

#[tokio::test]
async fn the_matrix_of_opspilot365_is_that_of_its_document() {
    let scene = Scene::new().await;
    let matrix = matrix(&scene.admin.client, pack("opspilot365")).await.unwrap();
    assert_eq!(
        matrix.roles,
        ["administrator", "technician", "read_only"].map(|role| format!("roles/opspilot365.{role}"))
    );
    assert_eq!(
        drawn(&matrix),
        [
            "OP-32 Y* Ya Y",
            "OP-33 Y* Ya -",
            "OP-34 Y* Ya -",
            "OP-35 Y* Ya -",
            "OP-36 Y* ?a -",
            "OP-37 Y* - -",
            "OP-38 Y* - -",
            "OP-39 Y* - -",
        ]
    );
    assert!(matrix.revision > 0 && matrix.rows.iter().all(|row| !row.title.is_empty() && !row.permissions.is_empty()));
}

#[tokio::test]
async fn the_matrix_of_msp_panel_is_that_of_its_document() {
    let scene = Scene::new().await;
    let matrix = matrix(&scene.admin.client, pack("msp-panel")).await.unwrap();
    let roles = ["owner", "msp_admin", "msp_user", "billing_only", "end_client"];
    assert_eq!(matrix.roles, roles.map(|role| format!("roles/msp-panel.{role}")));
    assert_eq!(
        drawn(&matrix),
        [
            "MP-VIEW Y* Y* Ya - Ya",
            "MP-MANAGE Y* Y* Ya - -",
            "MP-DEPARTMENTS Y* Y* Ya - -",
            "MP-BILLING Y* Y* - (billing.view)* -",
            "MP-DELEGATE Y* Y* - - -",
        ]
    );
}

#[tokio::test]
async fn a_pack_without_a_matrix_shows_its_roles_and_permissions() {
    let scene = Scene::new().await;
    let matrix = matrix(&scene.admin.client, pack("core")).await.unwrap();
    assert_eq!(matrix.roles, ["operator", "auditor", "backend_service"].map(|role| format!("roles/core.{role}")));
    let row = |permission: &str| {
        let row = matrix.rows.iter().find(|row| row.permissions == [permission]).unwrap();
        row.cells.iter().map(|cell| cell.value()).collect::<Vec<_>>()
    };
    use pb::MatrixValue::{No, Yes};
    assert_eq!(row("permissions.register"), [Yes, No, No]);
    assert_eq!(row("peers.view"), [Yes, Yes, No]);
    assert_eq!(row("access.check"), [Yes, No, Yes]);
}

#[tokio::test]
async fn any_roles_are_compared_as_they_are_now() {
    let scene = Scene::new().await;
    let own = scene.role(&[allow("ftp.*"), deny("ftp.delete"), with_approval(allow("websites.view"))]).await;
    let request = of(&[&own, "roles/mspcontrol.web_developer"], &["ftp.view", "ftp.delete", "websites.view"]);
    let found = matrix(&scene.admin.client, request.clone()).await.unwrap();
    assert_eq!(drawn(&found), [" Y Y", " - Y", " ? Y"]);
    let wish = pb::Role { name: own, grants: vec![allow("ftp.delete")], ..Default::default() };
    update(&scene.admin.client, wish, &["grants"]).await.unwrap();
    let changed = matrix(&scene.admin.client, request).await.unwrap();
    assert_eq!(drawn(&changed), [" - Y", " Y Y", " - Y"]);
    assert!(changed.revision > found.revision);
}

#[tokio::test]
async fn wrong_matrices_are_refused_whole() {
    let scene = Scene::new().await;
    let admin = &scene.admin.client;
    is_missing(matrix(admin, pack("nowhere")).await);
    is_missing(matrix(admin, of(&["roles/core.nobody"], &["ftp.view"])).await);
    let status = matrix(admin, of(&["roles/core.auditor"], &["ftp.view", "ftp.levitate", "a.b"])).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["permissions[1]", "permissions[2]"]);
    refused::<()>(Err(status), Code::InvalidArgument, "PERMISSION_UNKNOWN");
    for (wrong, fields) in [
        (of(&[], &[]), vec!["roles", "permissions"]),
        (
            of(&["core.auditor", "roles/core.auditor", "roles/core.auditor"], &["ftp"]),
            vec!["roles[0]", "roles[2]", "permissions[0]"],
        ),
        (pb::GetPermissionMatrixRequest { pack: "core".to_owned(), ..of(&["roles/core.auditor"], &[]) }, vec!["roles"]),
        (pack("Core"), vec!["pack"]),
    ] {
        let status = matrix(admin, wrong).await.unwrap_err();
        assert_eq!(
            (status.code(), bad_fields(&status)),
            (Code::InvalidArgument, fields.into_iter().map(str::to_owned).collect())
        );
    }
}
