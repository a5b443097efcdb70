use tonic::Code;

/// What etcd answers when it refuses a request.
///
/// Clients match on code *and* text, so both are etcd's (`api/v3/v3rpc/rpctypes`). Whatever is not etcd's own
/// sentence says so in its documentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is described by its own text")]
pub enum EtcdError {
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    #[error("etcdserver: key not found")]
    KeyNotFound,
    #[error("etcdserver: value is provided")]
    ValueProvided,
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    #[error("etcdserver: server stopped")]
    Stopped,
    #[error("etcdserver: member not found")]
    MemberNotFound,
    #[error("etcdserver: can only promote a learner member")]
    MemberNotLearner,
    #[error("etcdserver: given member URLs are invalid")]
    MemberBadUrls,
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    #[error("etcdserver: wrong downgrade target version format")]
    WrongDowngradeVersionFormat,
    #[error("etcdserver: invalid downgrade target version")]
    InvalidDowngradeTargetVersion,
    #[error("etcdserver: unknown method")]
    UnknownMethod,
    #[error("etcdserver: bad leader transferee")]
    BadLeaderTransferee,
    #[error("etcdserver: root user does not exist")]
    RootUserNotExist,
    #[error("etcdserver: authentication is not enabled")]
    AuthNotEnabled,
    #[error("etcdserver: user name is empty")]
    UserEmpty,
    #[error("etcdserver: user name not found")]
    UserNotFound,
    #[error("etcdserver: role name is empty")]
    RoleEmpty,
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// Of gRPC's health service, not of etcd's API.
    #[error("unknown service")]
    UnknownService,
    /// The log cannot be written any more; not a sentence of etcd's, which dies here.
    #[error("etcdserver: server stopped: {0}")]
    Failed(String),
    /// Something etcd has and this store does not.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl EtcdError {
    /// The gRPC code that etcd sends with this error.
    pub fn code(&self) -> Code {
        match self {
            Self::EmptyKey
            | Self::KeyNotFound
            | Self::ValueProvided
            | Self::LeaseProvided
            | Self::TooManyOps
            | Self::DuplicateKey
            | Self::InvalidSortOption
            | Self::RequestTooLarge
            | Self::MemberBadUrls
            | Self::WrongDowngradeVersionFormat
            | Self::InvalidDowngradeTargetVersion
            | Self::UserEmpty
            | Self::RoleEmpty
            | Self::PermissionNotGiven => Code::InvalidArgument,
            Self::Compacted | Self::FutureRevision | Self::LeaseTtlTooLarge => Code::OutOfRange,
            Self::NoSpace | Self::TooManyRequests => Code::ResourceExhausted,
            Self::LeaseNotFound | Self::MemberNotFound | Self::UnknownService => Code::NotFound,
            Self::LeaseExists
            | Self::MemberNotLearner
            | Self::BadLeaderTransferee
            | Self::RootUserNotExist
            | Self::AuthNotEnabled
            | Self::UserNotFound
            | Self::RoleNotFound => Code::FailedPrecondition,
            Self::Corrupt => Code::DataLoss,
            Self::UnknownMethod => Code::Unknown,
            Self::Stopped | Self::Failed(_) => Code::Unavailable,
            Self::Unsupported(_) => Code::Unimplemented,
        }
    }
}

impl From<EtcdError> for tonic::Status {
    fn from(error: EtcdError) -> Self {
        tonic::Status::new(error.code(), error.to_string())
    }
}
