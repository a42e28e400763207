//! What changes would mean.

use std::sync::Arc;

use tonic::Request;

use super::Answer;
use crate::application::Ctx;
use crate::application::preview::{self, Preview};
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked};
use crate::transport::grpc::convert::{page as token, preview as convert};
use crate::transport::grpc::pb;

call::lists!(PreviewChangeRequest {});

pub(super) async fn change(
    ctx: &Arc<Ctx>,
    request: Request<pb::PreviewChangeRequest>,
) -> Answer<pb::PreviewChangeResponse> {
    let (call, request) = call::read(request, "/peerage.v1.RoleService/PreviewChange")?;
    let now = ctx.clock.now();
    let work = async {
        let tokens = call::tokens(ctx, &call, &request).await?;
        let wish = checked(|fields| {
            let wish = convert::preview(fields, &request, &ctx.packs, now);
            let after = token::after(fields, &tokens, &request.page_token);
            let limit = fields.take("page_size", page::size(request.page_size));
            let limit = usize::try_from(limit?).unwrap_or(usize::MAX);
            Some(Preview { after: after?, limit, ..wish? })
        })?;
        let found = preview::preview(ctx, &call, wish).await?;
        let next_page_token = tokens.seal(found.page.next.as_ref())?;
        Ok(convert::to_pb(&found, next_page_token))
    };
    answer(ctx, &call, work, std::convert::identity).await
}
