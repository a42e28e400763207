//! AuditService: accounts' logs, listed and watched, and what other services report.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Response, Status};

use super::Services;
use crate::application::audit::{self, Begin, Watch, WatchEvents};
use crate::domain::invalid::Invalid;
use crate::transport::grpc::call::{self, answer, checked, checked_of};
use crate::transport::grpc::convert::page as token;
use crate::transport::grpc::convert::{self, audit as convert_audit};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::audit_service_server::AuditService;

call::lists!(ListAuditEventsRequest {});
call::mutations!(RecordEventsRequest);

/// The events of one watcher. Nothing is read before the transport asks for it.
type Events = Pin<Box<dyn Stream<Item = Result<pb::WatchAuditEventsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for Services {
    type WatchAuditEventsStream = Events;

    async fn list_audit_events(
        &self,
        request: Request<pb::ListAuditEventsRequest>,
    ) -> Result<Response<pb::ListAuditEventsResponse>, Status> {
        let (call, request) = call::read(request, "/peerage.v1.AuditService/ListAuditEvents")?;
        let work = async {
            let tokens = call::tokens(&self.ctx, &call, &request).await?;
            let list = checked(|fields| {
                let list = convert_audit::list(fields, &request, call.caller.peer);
                let after = token::after(fields, &tokens, &request.page_token);
                Some(audit::ListEvents { after: after?, ..list? })
            })?;
            let found = audit::list(&self.ctx, &call, &list).await?;
            Ok((tokens.seal(found.next.as_ref())?, found.items))
        };
        answer(&self.ctx, &call, work, |(next_page_token, events)| {
            let audit_events = events.iter().map(convert_audit::to_pb).collect();
            pb::ListAuditEventsResponse { audit_events, next_page_token }
        })
        .await
    }

    async fn watch_audit_events(
        &self,
        request: Request<pb::WatchAuditEventsRequest>,
    ) -> Result<Response<Events>, Status> {
        let (call, request) = call::read(request, "/peerage.v1.AuditService/WatchAuditEvents")?;
        let work = async {
            let watch = checked(|fields| {
                let account = fields.required("account", &request.account, convert::account_name);
                if request.after_seq < 0 {
                    fields.refuse("after_seq", Invalid::OutOfRange { min: 0, max: i64::MAX });
                } else if request.after_seq > 0 && request.new_only {
                    fields.refuse("after_seq", Invalid::NotAllowed { why: "`new_only` says where to begin" });
                }
                let begin = if request.new_only { Begin::AtEnd } else { Begin::After(request.after_seq) };
                Some(WatchEvents { account: account?, begin })
            })?;
            Watch::begin(Arc::clone(&self.ctx), call.clone(), watch, self.stop.clone()).await
        };
        let services = self.clone();
        answer(&self.ctx, &call, work, |watch| -> Events {
            Box::pin(unfold(Some(watch), move |watch| next(services.clone(), watch)))
        })
        .await
    }

    async fn record_events(
        &self,
        request: Request<pb::RecordEventsRequest>,
    ) -> Result<Response<pb::RecordEventsResponse>, Status> {
        let (call, request) = call::mutation(request, "/peerage.v1.AuditService/RecordEvents")?;
        let work = async {
            let reports = checked_of(&call, |fields| convert_audit::reports(fields, &request))?;
            audit::record(&self.ctx, &call, reports).await
        };
        answer(&self.ctx, &call, work, |reported| pb::RecordEventsResponse {
            recorded_events: reported.iter().map(convert_audit::reported).collect(),
        })
        .await
    }
}

/// The next message of a stream, after which it goes on; after an error there is nothing.
async fn next(
    services: Services,
    watch: Option<Watch>,
) -> Option<(Result<pb::WatchAuditEventsResponse, Status>, Option<Watch>)> {
    let mut watch = watch?;
    let call = watch.call().clone();
    let respond = |event| pb::WatchAuditEventsResponse { audit_event: Some(convert_audit::to_pb(&event)) };
    match answer(&services.ctx, &call, watch.next(), respond).await {
        Ok(response) => Some((Ok(response.into_inner()), Some(watch))),
        Err(status) => Some((Err(status), None)),
    }
}
