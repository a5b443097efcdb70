//! A thousand workers that verify the master at once, each over a connection of its own.

use std::time::Instant;

use tee::{KeyPolicy, Measurements, PlatformKind, SealingKey, TeeError};

use super::*;

const WORKERS: usize = 1_000;

/// As slow as hardware: a report of SEV-SNP takes some milliseconds, a quote of a TPM hundreds.
struct Hardware {
    simulated: SimulatedPlatform,
    takes: Duration,
}

impl Platform for Hardware {
    fn kind(&self) -> PlatformKind {
        self.simulated.kind()
    }

    fn measurement(&self) -> Measurements {
        self.simulated.measurement()
    }

    fn attest(&self, report_data: &[u8; 64], now_ms: u64) -> Result<Evidence, TeeError> {
        #[expect(clippy::disallowed_methods, reason = "on a thread that may block, as hardware does")]
        std::thread::sleep(self.takes);
        self.simulated.attest(report_data, now_ms)
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        self.simulated.sealing_key(policy)
    }
}

/// What came of it: answers of each kind, the time until the last, and how long others waited meanwhile, sorted.
struct Crowd {
    given: usize,
    sent_away: usize,
    took: Duration,
    waits: Vec<Duration>,
}

/// Everybody asks at once; each checks that the evidence is for its own nonce.
async fn crowd(takes: Duration) -> Crowd {
    let house = Arc::new(
        House::on(GatewayLimits::default(), |simulated| Arc::new(Hardware { simulated, takes })).await,
    );
    let ca_hash = house.pki.ca_der_sha256().unwrap();
    let started = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let house = house.clone();
            tokio::spawn(async move {
                let mut nonce = [0; 32];
                nonce[..8].copy_from_slice(&number.to_le_bytes());
                let url = house.url(&format!("/api/v1/attestation?nonce={}", hex::encode(nonce)));
                let answer = house.client(None).get(url).send().await.unwrap();
                if answer.status() == 429 {
                    return false;
                }
                let reply: api::AttestationReply = answer.json().await.unwrap();
                use base64::Engine;
                let evidence = base64::engine::general_purpose::STANDARD.decode(&reply.evidence).unwrap();
                let policy = tee::Policy { allow_simulated: true, ..tee::Policy::genuine() };
                let report_data = tee::report_data(&nonce, &[0xee; 32], &ca_hash);
                tee::verify(&Evidence::decode(&evidence).unwrap(), &policy, &report_data, START).unwrap();
                true
            })
        })
        .collect();
    let everybody = tokio::spawn(async move {
        let mut given = 0;
        for worker in workers {
            given += usize::from(worker.await.unwrap());
        }
        given
    });
    // Meanwhile a node that has joined goes on.
    let (client, mut waits) = (house.client(None), Vec::new());
    while !everybody.is_finished() {
        let asked = Instant::now();
        let healthy = client.get(house.url("/healthz")).send().await.unwrap();
        assert_eq!(healthy.status(), 200);
        waits.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let given = everybody.await.unwrap();
    waits.sort_unstable();
    Crowd { given, sent_away: WORKERS - given, took: started.elapsed(), waits }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workers_get_evidence_for_their_own_nonces_and_others_are_heard() {
    let crowd = crowd(Duration::from_millis(1)).await;
    assert_eq!((crowd.given, crowd.sent_away), (WORKERS, 0));
    assert!(!crowd.waits.is_empty());
}

/// `cargo test --release -p master --lib crowd -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and asserts nothing about time"]
async fn what_a_thousand_workers_cost() {
    for takes_ms in [0, 1, 10] {
        let Crowd { given, sent_away, took, waits } = crowd(Duration::from_millis(takes_ms)).await;
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        println!(
            "{takes_ms} ms to attest: {given} given, {sent_away} sent away, in {took:.2?}; {} others waited {:.1?} (median), \
             {:.1?} (99 %), {:.1?} (most)",
            waits.len(),
            at(50),
            at(99),
            at(100)
        );
    }
}
