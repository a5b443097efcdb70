use super::dispatch::{Context, HttpRequest, HttpResponse, unary, unknown};
use crate::EtcdError;
use crate::proto::{
    HeaderResponse, Member, MemberAddRequest, MemberListRequest, MemberListResponse, MemberRequest,
};

const ONE_MEMBER: EtcdError =
    EtcdError::Unsupported("this store has one member; its membership cannot be changed through etcd's API");

/// Service `etcdserverpb.Cluster`: one member, for ever.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let (_, id) = context.store.ids();
    match method {
        "MemberList" => {
            unary(request, |_: MemberListRequest| async move {
                let member = Member {
                    id,
                    name: "k3s-daas".to_owned(),
                    peer_urls: Vec::new(),
                    client_urls: context.urls.to_vec(),
                    is_learner: false,
                };
                // Membership has no revision, in etcd neither.
                Ok(MemberListResponse { header: Some(context.store.header(0)), members: vec![member] })
            })
            .await
        }
        "MemberAdd" => {
            unary(request, |q: MemberAddRequest| async move {
                let url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
                let good = !q.peer_urls.is_empty() && q.peer_urls.iter().all(url);
                Err::<HeaderResponse, _>(if good { ONE_MEMBER } else { EtcdError::MemberBadUrls })
            })
            .await
        }
        "MemberPromote" => change(request, id, EtcdError::MemberNotLearner).await,
        "MemberRemove" | "MemberUpdate" => change(request, id, ONE_MEMBER).await,
        _ => unknown("etcdserverpb.Cluster", method),
    }
}

/// What concerns a member: ours is refused with `refusal`, and there is no other.
async fn change(request: HttpRequest, ours: u64, refusal: EtcdError) -> HttpResponse {
    unary(request, |q: MemberRequest| async move {
        Err::<HeaderResponse, _>(if q.id == ours { refusal } else { EtcdError::MemberNotFound })
    })
    .await
}
