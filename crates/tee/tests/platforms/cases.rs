//! One case per recorded piece of evidence: what it takes to accept it.

use tee::{
    Anchors, Claims, Collateral, Evidence, Material, PlatformKind, Policy, Refusals, TrustedKey, Verifier,
    read_material,
};

use crate::fixtures;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) evidence: Evidence,
    /// The part whose every byte counts.
    pub(crate) part: &'static str,
    pub(crate) collateral: Collateral,
    pub(crate) anchors: Anchors,
    pub(crate) now: u64,
    /// What it takes beyond [`Policy::genuine`], which tolerates what these machines' TCB had.
    pub(crate) policy: Policy,
}

impl Case {
    pub(crate) fn verify(&self) -> Result<Claims, Refusals> {
        self.verify_as(&self.evidence, None)
    }

    pub(crate) fn verify_as(
        &self,
        evidence: &Evidence,
        report_data: Option<&[u8; 64]>,
    ) -> Result<Claims, Refusals> {
        let verifier =
            Verifier { anchors: &self.anchors, collateral: &self.collateral, now_ms: self.now * 1000 };
        verifier.verify(evidence, &self.policy, report_data)
    }

    /// The stable names of all refusals, in order; none when it is accepted.
    pub(crate) fn reasons(&self) -> Vec<&'static str> {
        reasons(self.verify())
    }

    /// The bytes of [`Self::part`].
    pub(crate) fn raw(&self) -> &[u8] {
        self.evidence.part(self.part).unwrap()
    }

    /// The same evidence with other bytes.
    pub(crate) fn with_raw(&self, raw: Vec<u8>) -> Evidence {
        self.evidence.clone().with_part(self.part, raw)
    }
}

pub(crate) fn reasons(result: Result<Claims, Refusals>) -> Vec<&'static str> {
    result.err().map(|refusals| refusals.iter().map(tee::Refusal::reason).collect()).unwrap_or_default()
}

fn case(name: &'static str, platform: PlatformKind, part: &'static str, raw: &[u8], now: u64) -> Case {
    Case {
        name,
        evidence: Evidence::from_raw(platform, raw).unwrap(),
        part,
        collateral: Collateral::default(),
        anchors: Anchors::default(),
        now,
        policy: Policy::genuine(),
    }
}

/// Three days after Intel issued the TCB info that was recorded with the quote.
fn dcap(name: &'static str, platform: PlatformKind, file: &str) -> Case {
    let collateral = fixtures::read("dcap-qvl", &format!("sample/{file}_collateral.json"));
    let outer: serde_json::Value = serde_json::from_slice(&collateral).unwrap();
    let tcb_info: serde_json::Value = serde_json::from_str(outer["tcb_info"].as_str().unwrap()).unwrap();
    let issued = tcb_info["issueDate"].as_str().unwrap();
    let issued = time::OffsetDateTime::parse(issued, &time::format_description::well_known::Rfc3339).unwrap();
    let now = issued.unix_timestamp() as u64 + 3 * 86_400;
    let raw = fixtures::read("dcap-qvl", &format!("sample/{file}"));
    let mut case = case(name, platform, "quote", &raw, now);
    case.collateral = Collateral::from_json(&collateral).unwrap();
    case
}

pub(crate) fn sgx() -> Case {
    dcap("SGX quote v3", PlatformKind::Sgx, "sgx_quote")
}

pub(crate) fn tdx() -> Case {
    dcap("TDX quote v4", PlatformKind::Tdx, "tdx_quote")
}

pub(crate) fn tdx_15() -> Case {
    dcap("TDX quote v5", PlatformKind::Tdx, "tdx_quote_td15ex")
}

pub(crate) fn tdx_outdated() -> Case {
    dcap("TDX quote of an outdated platform", PlatformKind::Tdx, "tdx_quote_outdated")
}

pub(crate) fn snp() -> Case {
    // Within the VCEK's seven years.
    let raw = fixtures::read("sev", "tests/certs_data/report_milan.hex");
    let mut case = case("SNP report of a Milan", PlatformKind::SevSnp, "report", &raw, 1_700_000_000);
    case.collateral.certificates = vec![fixtures::read("sev", "tests/certs_data/vcek_milan.der")];
    case
}

pub(crate) fn nitro() -> Case {
    let raw = fixtures::read("nitro_attest", "tests/fixtures/attestation.cose");
    case("Nitro document", PlatformKind::Nitro, "document", &raw, 1_736_179_625)
}

pub(crate) fn nitro_debug() -> Case {
    let raw = fixtures::read("remote-attestation-verifier", "fixtures/example_attestation");
    // The document's own time.
    case("Nitro document in debug mode", PlatformKind::Nitro, "document", &raw, 1_725_911_400)
}

pub(crate) fn nitro_tampered() -> Case {
    let raw = fixtures::read("remote-attestation-verifier", "fixtures/invalid_attestation");
    case("Nitro document tampered with", PlatformKind::Nitro, "document", &raw, 1_725_911_400)
}

fn cca(name: &'static str, token: &str, keys: &str) -> Case {
    let raw = fixtures::read("ccatoken", &format!("testdata/{token}"));
    let mut case = case(name, PlatformKind::Cca, "token", &raw, 1_700_000_000);
    case.anchors.keys = self::keys(&fixtures::read("ccatoken", &format!("testdata/{keys}")));
    case
}

/// Example keys: these tokens have no root in hardware.
pub(crate) fn cca_01() -> Case {
    cca("CCA token 1", "cca-token-01.cbor", "cpak.json")
}

pub(crate) fn cca_02() -> Case {
    cca("CCA token 2", "cca-token-02.cbor", "ta-02-ok.json")
}

pub(crate) fn keys(file: &[u8]) -> Vec<TrustedKey> {
    let keys = read_material(file).unwrap().into_iter().map(|item| match item {
        Material::Key(key) => key,
        other => panic!("{other:?}"),
    });
    keys.collect()
}

/// Everything that is accepted.
pub(crate) fn accepted() -> Vec<Case> {
    vec![sgx(), tdx(), tdx_15(), snp(), nitro(), cca_01(), cca_02()]
}
