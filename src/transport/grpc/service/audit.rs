//! AuditService: an account's log, event by event.

use tonic::{Request, Response, Status};

use super::Services;
use crate::application::audit;
use crate::domain::invalid::Invalid;
use crate::domain::page;
use crate::transport::grpc::call::{self, answer, checked};
use crate::transport::grpc::convert::page as token;
use crate::transport::grpc::convert::{self, audit as convert_audit};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::audit_service_server::AuditService;

call::lists!(ListAuditEventsRequest {});

#[tonic::async_trait]
impl AuditService for Services {
    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        let (call, request) = call::read(request, "/peerage.v1.AuditService/ListAuditEvents")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let (account, limit, after) = checked(|fields| {
                let account = fields.required("account", &request.account, convert::account_name);
                if request.start_seq < 0 {
                    fields.refuse("start_seq", Invalid::OutOfRange { min: 0, max: i64::MAX });
                }
                let limit = fields.take("page_size", page::size(request.page_size));
                let after = token::after(fields, &tokens, &request.page_token);
                Some((account?, limit?, after?))
            })?;
            let after_seq = after.unwrap_or_else(|| request.start_seq.saturating_sub(1));
            let found = audit::list(&self.ctx, &call, &audit::ListEvents { account, after_seq, limit }).await?;
            Ok((tokens.seal(found.next.as_ref())?, found.items))
        };
        answer(&self.ctx, &call, work, |(next_page_token, events)| {
            let audit_events = events.iter().map(convert_audit::to_pb).collect();
            pb::ListAuditEventsResponse { audit_events, next_page_token }
        })
        .await
    }
}
