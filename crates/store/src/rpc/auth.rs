use super::dispatch::{Context, HttpRequest, HttpResponse, unary, unknown};
use crate::EtcdError;
use crate::proto::{AnyRequest, AuthStatusResponse, HeaderResponse};

/// Service `etcdserverpb.Auth`, switched off: who may connect is decided by sockets and certificates.
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
        "Authenticate"
        | "UserAdd"
        | "UserGet"
        | "UserDelete"
        | "UserChangePassword"
        | "UserGrantRole"
        | "UserRevokeRole"
        | "RoleAdd"
        | "RoleGet"
        | "RoleDelete"
        | "RoleGrantPermission"
        | "RoleRevokePermission" => refuse(request, EtcdError::AuthNotEnabled).await,
        _ => unknown(method),
    }
}

async fn refuse(request: HttpRequest, error: EtcdError) -> HttpResponse {
    unary(request, |_: AnyRequest| async { Err::<HeaderResponse, _>(error) }).await
}
