use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use ring::rand::{SecureRandom, SystemRandom};
use seal_token::K3sToken;
use tokio::time::{Duration, timeout};
use zeroize::Zeroizing;

use crate::agent::{Call, Failure, FailureKind, Outcome, Step, Target, Token, Validity, View};
use crate::certificates::{KeyedCertificate, NodeBundle, Request};
use crate::chain_source::ChainSource;
use crate::evidence::Evidence;
use crate::gateway::{Attested, CertificateKind, GatewayError, NodeHeaders, Pinned};
use crate::holder_key::{HolderKey, ProofScope};
use crate::machine::{self, CpuTicks};
use crate::node_agent::{NodeAgent, StopReason};
use crate::rewards::Watch;
use crate::statements::Statements;
use crate::tunnel::{TunnelKeeper, TunnelTarget};
use crate::{Config, clock, gateway};

/// How long the node's processes may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Does the agent's steps: all of the worker's IO but its own API.
pub(crate) struct Shell {
    pub(crate) config: Config,
    pub(crate) chain: Arc<dyn ChainSource>,
    pub(crate) node: Arc<dyn NodeAgent>,
    /// The key that is used; see [`Shell::follow_key`].
    pub(crate) holder: RwLock<Arc<HolderKey>>,
    pub(crate) node_password: Zeroizing<String>,
    /// What this worker demands of a master beside what the chain says.
    pub(crate) trust: gateway::Trust,
    /// What it proves of this machine, if it is told to.
    pub(crate) evidence: Option<Arc<Evidence>>,
    /// This process of the worker, by which the master tells two agents of one node apart.
    pub(crate) instance: api::Instance,
    pub(crate) statements: Mutex<Statements>,
    pub(crate) tunnel: TunnelKeeper,
    pub(crate) rewards: Mutex<Watch>,
    pub(crate) memory: Mutex<Memory>,
}

/// What one step leaves for the next.
#[derive(Default)]
pub(crate) struct Memory {
    trust: Option<(u64, Trust)>,
    token: Option<Token>,
    bundle: Option<NodeBundle>,
    cpu: CpuTicks,
    pub(crate) last_heartbeat_ms: Option<u64>,
}

enum Trust {
    Pinned(Box<Pinned>),
    Attested(Arc<Attested>),
}

impl Shell {
    /// Does one step; its result belongs to the agent.
    pub(crate) async fn perform(&self, step: &Step) -> Result<Outcome, Failure> {
        match step {
            Step::ReadChain => {
                let view = self.chain.view().await?;
                self.follow_key(&view);
                self.memory.lock().token.clone_from(&view.token);
                Ok(Outcome::View(Box::new(view)))
            }
            Step::RenewToken => self.chain.renew_token().await.map(|()| Outcome::Done),
            Step::Gateway { session, target, call } => self.at_gateway(*session, target, *call).await,
            Step::ShowEvidence { session, nonce } => self.show_evidence(*session, *nonce).await,
            Step::StartNode { .. } => {
                let bundle = self.memory.lock().bundle.clone();
                let bundle = bundle.ok_or_else(|| failed("no_certificates", "no certificates yet"))?;
                match timeout(START_TIMEOUT, self.node.start(bundle)).await {
                    Ok(started) => started.map(|()| Outcome::Done).map_err(|error| node_failed(&error)),
                    Err(_) => {
                        let seconds = START_TIMEOUT.as_secs();
                        Err(failed("node_start_timeout", &format!("the node did not start in {seconds} s")))
                    }
                }
            }
            Step::StopNode(gone) => {
                self.memory.lock().bundle = None;
                let stopped = self.node.stop(StopReason::Gone(*gone)).await;
                stopped.map(|()| Outcome::Done).map_err(|error| node_failed(&error))
            }
        }
    }

    /// Ends what is under way at a gateway of another session than `session`: it is trusted no longer.
    pub(crate) fn keep_only(&self, session: u64) {
        let over = self.memory.lock().trust.take_if(|(of, _)| *of != session);
        if let Some((_, Trust::Attested(attested))) = over {
            attested.close();
        }
    }

    /// The key that is used now.
    pub(crate) fn holder(&self) -> Arc<HolderKey> {
        self.holder.read().clone()
    }

    /// Takes a rotated key from its file as soon as the chain names it, so that a rotation needs no restart. The file may
    /// still have the name that it has before the chain knows it.
    fn follow_key(&self, view: &View) {
        let Some(named) = view.token.as_ref().map(|token| token.public_key) else { return };
        if named == self.holder().public_key() {
            return;
        }
        let path = &self.config.holder_key;
        // The next one first: when the rename falls between the two looks, the second finds it under its final name.
        for path in [HolderKey::next_file(path), path.clone()] {
            // What is missing or unfit is no candidate; without one the chain's answer says that the key was rotated.
            if let Ok(key) = HolderKey::open(&path)
                && key.public_key() == named
            {
                tracing::info!(file = %path.display(), "the holder's key was rotated; the new one is used from now on");
                *self.holder.write() = Arc::new(key);
                return;
            }
        }
    }

    /// The TEE that attested in the current session.
    pub(crate) fn attested_platform(&self) -> Option<tee::Claims> {
        match &self.memory.lock().trust {
            Some((_, Trust::Attested(attested))) => Some(attested.claims().clone()),
            _ => None,
        }
    }

    /// The gateway that is trusted now.
    pub(crate) fn trusted(&self) -> Option<Arc<Attested>> {
        match &self.memory.lock().trust {
            Some((_, Trust::Attested(attested))) => Some(Arc::clone(attested)),
            _ => None,
        }
    }

    /// The stake behind the token, once the chain was read.
    pub(crate) fn stake(&self) -> Option<crate::ObjectId> {
        self.memory.lock().token.as_ref().map(|token| crate::ObjectId(token.stake_id))
    }

    async fn at_gateway(&self, session: u64, target: &Target, call: Call) -> Result<Outcome, Failure> {
        match call {
            Call::PinCa => {
                self.memory.lock().trust = None;
                let pinned = Pinned::new(target).await?;
                self.memory.lock().trust = Some((session, Trust::Pinned(Box::new(pinned))));
                Ok(Outcome::Done)
            }
            Call::Attest => {
                let pinned = match self.memory.lock().trust.take() {
                    Some((pinned_in, Trust::Pinned(pinned))) if pinned_in == session => pinned,
                    _ => return Err(out_of_order()),
                };
                let mut nonce = [0; 32];
                SystemRandom::new().fill(&mut nonce).map_err(|_| failed("random", "no random bytes"))?;
                let attested = pinned.attest(nonce, &self.trust, clock::now_ms()).await?;
                let claims = attested.claims();
                tracing::info!(
                    endpoint = target.endpoint,
                    platform = %claims.platform,
                    simulated = claims.simulated,
                    "the master's attestation fits the enclave on chain"
                );
                // Who has certificates already asks for none, and its tunnel ended with the session before.
                self.open_tunnel(&attested);
                self.memory.lock().trust = Some((session, Trust::Attested(Arc::new(attested))));
                Ok(Outcome::Done)
            }
            Call::Certificates => self.certificates(&*self.attested(session)?, target).await,
            Call::Heartbeat => self.heartbeat(&*self.attested(session)?, target).await,
        }
    }

    /// Has the tunnel lead to this gateway, once there is a certificate to open it with.
    fn open_tunnel(&self, gateway: &Attested) {
        if self.node.joins_itself() {
            return;
        }
        let bundle = self.memory.lock().bundle.clone();
        let Some(bundle) = bundle else { return };
        self.tunnel.lead_to(TunnelTarget {
            base: gateway.base().to_owned(),
            tls: gateway.tls(),
            closed: gateway.closed(),
            identity: bundle.client_kubelet,
            node_name: bundle.node_name,
        });
    }

    fn attested(&self, session: u64) -> Result<Arc<Attested>, Failure> {
        match &self.memory.lock().trust {
            Some((attested_in, Trust::Attested(attested))) if *attested_in == session => {
                Ok(Arc::clone(attested))
            }
            _ => Err(out_of_order()),
        }
    }

    async fn certificates(&self, gateway: &Attested, target: &Target) -> Result<Outcome, Failure> {
        let token = self.token()?;
        let (client_kubelet, kubelet) =
            self.certificate(gateway, target, &token, CertificateKind::ClientKubelet).await?;
        let (serving_kubelet, serving) =
            self.certificate(gateway, target, &token, CertificateKind::ServingKubelet).await?;
        let (client_kube_proxy, proxy) =
            self.certificate(gateway, target, &token, CertificateKind::ClientKubeProxy).await?;
        let proof = || self.proof(&token, target);
        let bundle = NodeBundle {
            node_name: token.node_name.clone(),
            client_kubelet,
            serving_kubelet,
            client_kube_proxy,
            client_ca_pem: gateway.ca_file(&proof()?, "client-ca.crt").await?,
            server_ca_pem: gateway.ca_file(&proof()?, "server-ca.crt").await?,
            apiservers: gateway.apiservers(&proof()?).await?,
            settings: gateway.settings(&proof()?).await?,
        };
        self.invite(gateway, &token, target).await?;
        self.memory.lock().bundle = Some(bundle);
        self.open_tunnel(gateway);
        // All are renewed together, by the first to end.
        let all = [kubelet, serving, proxy];
        Ok(Outcome::Certificates(Validity {
            from_ms: all.iter().map(|validity| validity.from_ms).min().unwrap_or(0),
            until_ms: all.iter().map(|validity| validity.until_ms).min().unwrap_or(0),
        }))
    }

    async fn certificate(
        &self,
        gateway: &Attested,
        target: &Target,
        token: &Token,
        kind: CertificateKind,
    ) -> Result<(KeyedCertificate, Validity), Failure> {
        let node =
            NodeHeaders { name: &token.node_name, ip: self.config.node_ip, password: &self.node_password };
        let certificate = |error: crate::CertificateError| failed("certificate", &error.to_string());
        let request = Request::new(kind, &token.node_name).map_err(certificate)?;
        let csr = request.csr_der(self.config.node_ip).map_err(certificate)?;
        let signed = gateway.sign(&self.proof(token, target)?, node, kind, csr).await?;
        request.accept(signed).map_err(certificate)
    }

    async fn heartbeat(&self, gateway: &Attested, target: &Target) -> Result<Outcome, Failure> {
        let token = self.token()?;
        let status = self.node.status().await;
        let metrics = self.measure(status.pods).await?;
        let beat = self.statements.lock().sign(
            &self.holder(),
            api::Heartbeat {
                node_name: token.node_name.clone(),
                timestamp_ms: clock::now_ms(),
                ready: status.ready,
                reason: status.reason.filter(|_| !status.ready),
                metrics,
                instance: self.instance.clone(),
                signature: None,
            },
        )?;
        let reply = gateway.heartbeat(&self.proof(&token, target)?, &beat).await?;
        self.memory.lock().last_heartbeat_ms = Some(clock::now_ms());
        self.invite(gateway, &token, target).await?;
        let nonce = reply.attestation_nonce.as_deref().map(nonce).transpose()?;
        Ok(Outcome::Beat { interval_ms: reply.interval_ms, nonce })
    }

    async fn show_evidence(&self, session: u64, nonce: [u8; 32]) -> Result<Outcome, Failure> {
        let gateway = self.attested(session)?;
        let bundle = self.memory.lock().bundle.clone();
        let (Some(bundle), Some(evidence)) = (bundle, self.evidence.clone()) else {
            return Err(out_of_order());
        };
        let (platform, identity) = (evidence.clone(), bundle.client_kubelet.clone());
        let made = tokio::task::spawn_blocking(move || platform.make(nonce, &identity.certificate_pem));
        let made = made.await.map_err(|error| failed("evidence", &error.to_string()))?;
        let made =
            made.map_err(|problem| failed("evidence", &format!("no evidence of this machine: {problem}")))?;
        let attested = gateway.show_evidence(&bundle.client_kubelet, &made).await?;
        tracing::info!(
            platform = attested.platform,
            simulated = attested.simulated,
            "the master has verified this machine"
        );
        evidence.taken(attested);
        Ok(Outcome::Done)
    }

    async fn measure(&self, pods: u32) -> Result<api::NodeMetrics, Failure> {
        let last = self.memory.lock().cpu;
        let state_dir = self.config.state_dir.clone();
        let measured = tokio::task::spawn_blocking(move || {
            machine::measure(&PathBuf::from("/proc"), &state_dir, last, pods)
        });
        let (metrics, cpu) = measured
            .await
            .map_err(|error| failed("metrics", &error.to_string()))?
            .map_err(|error| failed("metrics", &format!("cannot measure this machine: {error}")))?;
        self.memory.lock().cpu = cpu;
        Ok(metrics)
    }

    /// Gives a node that joins itself a token with a fresh proof, pinned to the gateway's CA.
    async fn invite(&self, gateway: &Attested, token: &Token, target: &Target) -> Result<(), Failure> {
        if !self.node.joins_itself() {
            return Ok(());
        }
        let mut pin = [0; 32];
        pin.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, gateway.ca_pem()).as_ref());
        let text = Zeroizing::new(K3sToken::seal(pin, &self.proof(token, target)?).to_string());
        self.node.invite(gateway.base(), &text).await.map_err(|error| node_failed(&error))
    }

    /// A fresh proof; each is used once.
    fn proof(&self, token: &Token, target: &Target) -> Result<seal_token::Proof, GatewayError> {
        let scope =
            ProofScope { token_id: self.config.token_id.0, seal: token.seal, audience: target.ca_hash };
        self.holder()
            .mint(&scope, clock::now_ms(), self.config.proof_window_ms)
            .map_err(|error| GatewayError::Local(error.to_string()))
    }

    fn token(&self) -> Result<Token, Failure> {
        self.memory.lock().token.clone().ok_or_else(|| failed("unknown_token", "no seal token on chain"))
    }
}

fn nonce(text: &str) -> Result<[u8; 32], GatewayError> {
    let mut nonce = [0; 32];
    hex::decode_to_slice(text, &mut nonce).map_err(|_| GatewayError::Malformed {
        what: "heartbeat",
        problem: "attestationNonce is not 64 hexadecimal digits".to_owned(),
    })?;
    Ok(nonce)
}

/// The agent asked for a step of a session that is over; it will start a new one.
fn out_of_order() -> Failure {
    Failure {
        kind: FailureKind::Untrusted,
        reason: "session_over".to_owned(),
        message: "the gateway must be verified again first".to_owned(),
    }
}

fn node_failed(error: &crate::NodeAgentError) -> Failure {
    failed("node_agent_failed", &crate::with_causes(error))
}

fn failed(reason: &str, message: &str) -> Failure {
    Failure { kind: FailureKind::Failed, reason: reason.to_owned(), message: message.to_owned() }
}
