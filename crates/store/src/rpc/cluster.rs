use super::dispatch::{Context, HttpRequest, HttpResponse, unary, unknown};
use crate::EtcdError;
use crate::proto::{AnyRequest, HeaderResponse, Member, MemberListRequest, MemberListResponse};

const ONE_MEMBER: EtcdError =
    EtcdError::Unsupported("this store has one member; its membership cannot be changed through etcd's API");

/// Service `etcdserverpb.Cluster`.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    match method {
        "MemberList" => {
            unary(request, |_: MemberListRequest| async move {
                let (_, id) = context.store.ids();
                let member = Member {
                    id,
                    name: "k3s-daas".to_owned(),
                    peer_urls: Vec::new(),
                    client_urls: context.urls.to_vec(),
                    is_learner: false,
                };
                let header = context.store.header(context.store.revision());
                Ok(MemberListResponse { header: Some(header), members: vec![member] })
            })
            .await
        }
        "MemberAdd" | "MemberRemove" | "MemberUpdate" | "MemberPromote" => {
            unary(request, |_: AnyRequest| async { Err::<HeaderResponse, _>(ONE_MEMBER) }).await
        }
        _ => unknown(method),
    }
}
