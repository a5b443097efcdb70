use super::*;

fn token_review(house: &House, client: &Client, token: &str, audiences: &[&str]) -> RequestBuilder {
    client.post(house.url("/webhook/token-review")).json(&json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": { "creationTimestamp": null },
        "spec": { "token": token, "audiences": audiences }, "status": { "user": {} },
    }))
}

fn access_review(house: &House, client: &Client, user: &str, groups: &[&str]) -> RequestBuilder {
    client.post(house.url("/webhook/authorize")).json(&json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": { "user": user, "groups": groups,
            "resourceAttributes": { "namespace": "default", "verb": "get", "version": "v1", "resource": "pods" } },
    }))
}

async fn status(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body: Value = response.json().await.unwrap();
    body["status"].take()
}

#[tokio::test]
async fn a_wallet_is_a_user_with_the_groups_of_its_tier() {
    let house = House::new().await;
    let apiserver = house.client_as(WEBHOOK_CLIENT, &[]);
    let groups_of = |tier: &str, more: &[&str]| {
        let mut groups = vec!["k3s-daas:stakers".to_owned(), format!("k3s-daas:tier:{tier}")];
        groups.extend(more.iter().map(|tier| format!("k3s-daas:{tier}:{OWNER}")));
        groups
    };
    for (token, tier, more) in
        [(NODE, "node", &[][..]), (USER, "user", &["user"]), (ADMIN, "admin", &["user", "admin"])]
    {
        let review = token_review(&house, &apiserver, &house.proof(token), &[SERVICE_ACCOUNT_ISSUER]);
        let status = status(review).await;
        assert_eq!(status["authenticated"], true);
        assert_eq!(status["user"]["username"], format!("sui:{OWNER}"));
        assert_eq!(status["user"]["uid"], stake_of(token).to_string());
        assert_eq!(status["user"]["groups"], json!(groups_of(tier, more)));
        assert_eq!(status["user"]["extra"]["k3s-daas.io/tier"], json!([tier]));
        assert_eq!(status["audiences"], json!([SERVICE_ACCOUNT_ISSUER]));
    }
    let unasked = status(token_review(&house, &apiserver, &house.proof(USER), &[])).await;
    assert_eq!(unasked["authenticated"], true);
    assert!(unasked.get("audiences").is_none());
    let vault = status(token_review(&house, &apiserver, &house.proof(USER), &["vault"])).await;
    assert_eq!(vault["authenticated"], false, "a proof is not for others");
}

#[tokio::test]
async fn an_unknown_or_revoked_wallet_is_nobody() {
    let house = House::new().await;
    let apiserver = house.client_as(WEBHOOK_CLIENT, &[]);
    let refused = async |proof: &str, reason: &str| {
        let status = status(token_review(&house, &apiserver, proof, &[])).await;
        assert_eq!(status["authenticated"], false);
        assert!(status.get("user").is_none());
        assert!(status["error"].as_str().unwrap().starts_with(reason), "{status}");
        assert!(!status.to_string().contains(proof));
        assert!(house.refused(reason) > 0, "{reason}");
    };
    refused("eyJhbGciOi", "malformed").await;
    let unknown = Proof::mint(&key(USER), house.claims(Id([0x66; 32]))).to_string();
    refused(&unknown, "unknown_token").await;
    let proof = house.proof(USER);
    house.tell(Fact::Token(Token { revoked: true, ..token(USER) }));
    refused(&proof, "token_revoked").await;
    // The chain is silent: what is known goes on.
    house.tell(Fact::Token(token(USER)));
    house.wait(50_000);
    assert_eq!(status(token_review(&house, &apiserver, &proof, &[])).await["authenticated"], true);
    house.wait(12_000);
    refused(&proof, "expired").await;
}

#[tokio::test]
async fn a_node_is_denied_from_the_moment_its_token_ends() {
    let house = House::new().await;
    let apiserver = house.client_as(WEBHOOK_CLIENT, &[]);
    let bound = format!("k3s-daas:token:{NODE}.1");
    let kubelet = ["system:nodes", "system:authenticated", &bound];
    let ask =
        async |user: &str, groups: &[&str]| status(access_review(&house, &apiserver, user, groups)).await;
    let no_opinion = json!({ "allowed": false, "reason": "" });
    assert_eq!(ask("system:node:n1", &kubelet).await, no_opinion);
    assert_eq!(ask("system:kube-proxy", &[&bound]).await, no_opinion);
    assert_eq!(ask("sui:0x1", &["k3s-daas:stakers"]).await, no_opinion, "not a node");

    assert_eq!(ask("system:node:n1", &["system:nodes"]).await["denied"], true, "not bound to a token");
    assert_eq!(ask("system:node:n2", &kubelet).await["denied"], true, "another node's token");
    house.tell(Fact::Stake(Stake { amount_mist: 99, ..stake(NODE) }));
    let denied = ask("system:node:n1", &kubelet).await;
    assert_eq!((&denied["allowed"], &denied["denied"]), (&json!(false), &json!(true)));
    assert!(denied["reason"].as_str().unwrap().starts_with("certificate_revoked"));
    assert_eq!(ask("system:kube-proxy", &[&bound]).await["denied"], true);
    assert_eq!(house.metric("k3s_daas_node_authorizations_total{result=\"denied\"}"), 4);
}

#[tokio::test]
async fn only_the_apiserver_may_ask() {
    let house = House::new().await;
    let bound = format!("k3s-daas:token:{NODE}.1");
    let strangers = [
        house.client(None),
        house.client_as("system:node:n1", &["system:nodes", &bound]),
        house.client_as("kube-apiserver", &["system:masters"]),
    ];
    for stranger in strangers {
        let review = token_review(&house, &stranger, &house.proof(USER), &[]);
        expect(review, 403, "not_the_apiserver").await;
        expect(access_review(&house, &stranger, "system:node:n1", &[]), 403, "not_the_apiserver").await;
    }
    // A certificate of another CA does not even get through the handshake.
    let foreign = ClusterPki::generate(crate::shared::system_clock()()).unwrap();
    let identity =
        foreign.issue(&Profile::client(WEBHOOK_CLIENT, &[], 3600), crate::shared::system_clock()()).unwrap();
    let impostor = house.client(Some(&identity));
    assert!(token_review(&house, &impostor, "x", &[]).send().await.is_err());

    let apiserver = house.client_as(WEBHOOK_CLIENT, &[]);
    let wrong = apiserver
        .post(house.url("/webhook/token-review"))
        .json(&json!({ "apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview", "spec": {} }));
    expect(wrong, 400, "malformed_json").await;
}
