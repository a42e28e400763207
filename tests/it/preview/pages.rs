//! Pages of one preview: of the same change, at the same revision, or none.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::policy_change::Change;
use tonic::Code;

use super::{all, asking, page, rows};
use crate::roles::{Scene, allow, refused};
use crate::support::policy::binding;

#[tokio::test]
async fn pages_hold_each_difference_once_and_the_totals_are_of_all() {
    let scene = Scene::alone().await;
    for number in 0..3 {
        scene.server.customer(&format!("more-{number}"), &scene.msp).await;
    }
    let role = scene.role(&["ftp.view", "ftp.update", "peers.view"].map(allow)).await;
    let holder = scene.nobody().await;
    let role_binding = Some(binding(&holder.name, &role, &scene.msp));
    let wish = Change::CreateRoleBinding(pb::CreateRoleBindingRequest { role_binding, ..Default::default() });
    let admin = &scene.admin.client;
    let whole = page(admin, &asking(wish.clone())).await.unwrap();
    assert!(whole.next_page_token.is_empty());
    assert_eq!(whole.differences.len(), 15);
    assert_eq!(whole.totals.unwrap().gained_count, 15);
    for page_size in [1, 2, 4, 5, 14, 15, 16] {
        let request = pb::PreviewChangeRequest { page_size, ..asking(wish.clone()) };
        let (found, first) = all(admin, &request).await.unwrap();
        assert_eq!(found, rows(&whole), "{page_size}");
        assert_eq!((first.totals, first.revision), (whole.totals, whole.revision));
    }

    // Later pages are judged at the moment of the first.
    let request = pb::PreviewChangeRequest { page_size: 4, ..asking(wish.clone()) };
    let first = page(admin, &request).await.unwrap();
    let next = pb::PreviewChangeRequest { page_token: first.next_page_token, ..request.clone() };
    scene.server.advance(std::time::Duration::from_secs(60));
    assert_eq!(rows(&page(admin, &next).await.unwrap()), rows(&whole)[4..8]);

    // A token is for its caller and its change.
    let other = pb::PreviewChangeRequest { account: scene.msp.clone(), ..next.clone() };
    refused(page(admin, &other).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    refused(page(&scene.server.operator(), &next).await, Code::InvalidArgument, "PAGE_TOKEN_INVALID");

    // Once policy has changed, the rest would be of another world.
    scene.server.customer("one-more", &scene.msp).await;
    refused(page(admin, &next).await, Code::Aborted, "CONCURRENT_CHANGE");
    assert_eq!(all(admin, &request).await.unwrap().0.len(), 18);
}
