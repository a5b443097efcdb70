use super::dispatch::{Context, HttpRequest, HttpResponse, unary, unknown};
use crate::EtcdError;
use crate::proto::{
    AnyRequest, AuthAddRequest, AuthRoleGrantPermissionRequest, AuthStatusResponse, HeaderResponse,
};

/// Service `etcdserverpb.Auth`, switched off: who may connect is decided by sockets and certificates.
///
/// Answers are those of an etcd without users and roles. Only adding one is different: etcd would, here it is refused,
/// because nothing would ever look at it.
pub(super) async fn call(context: Context, method: &str, request: HttpRequest) -> HttpResponse {
    let store = context.store;
    match method {
        "AuthStatus" => {
            unary(request, |_: AnyRequest| async move {
                let header = Some(store.header(store.revision()));
                Ok(AuthStatusResponse { header, enabled: false, auth_revision: 1 })
            })
            .await
        }
        // Nothing to list and nothing to switch off: these succeed in etcd too.
        "AuthDisable" | "UserList" | "RoleList" => {
            unary(request, |_: AnyRequest| async move {
                Ok(HeaderResponse { header: Some(store.header(store.revision())) })
            })
            .await
        }
        "AuthEnable" => refuse(request, EtcdError::RootUserNotExist).await,
        "Authenticate" => refuse(request, EtcdError::AuthNotEnabled).await,
        "UserAdd" => add(request, EtcdError::UserEmpty).await,
        "RoleAdd" => add(request, EtcdError::RoleEmpty).await,
        "UserGet" | "UserDelete" | "UserChangePassword" | "UserGrantRole" | "UserRevokeRole" => {
            refuse(request, EtcdError::UserNotFound).await
        }
        "RoleGrantPermission" => {
            unary(request, |q: AuthRoleGrantPermissionRequest| async move {
                let missing = q.perm.is_none();
                let refusal = if missing { EtcdError::PermissionNotGiven } else { EtcdError::RoleNotFound };
                Err::<HeaderResponse, _>(refusal)
            })
            .await
        }
        "RoleGet" | "RoleDelete" | "RoleRevokePermission" => refuse(request, EtcdError::RoleNotFound).await,
        _ => unknown("etcdserverpb.Auth", method),
    }
}

async fn refuse(request: HttpRequest, error: EtcdError) -> HttpResponse {
    unary(request, |_: AnyRequest| async { Err::<HeaderResponse, _>(error) }).await
}

async fn add(request: HttpRequest, nameless: EtcdError) -> HttpResponse {
    unary(request, |q: AuthAddRequest| async move {
        let refusal = if q.name.is_empty() { nameless } else { EtcdError::AuthNotEnabled };
        Err::<HeaderResponse, _>(refusal)
    })
    .await
}
