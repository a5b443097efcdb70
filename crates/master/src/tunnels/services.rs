use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;

/// The pods behind the service that has the address `ip`, for its port `port`. kube-proxy does this on nodes; the master has
/// none, so the proxy does it for the apiserver's webhooks and extensions.
pub(super) async fn endpoints(
    client: &kube::Client,
    ip: IpAddr,
    port: u16,
) -> Result<Vec<SocketAddr>, kube::Error> {
    let services = Api::<Service>::all(client.clone());
    let found = services.list(&ListParams::default().fields(&format!("spec.clusterIP={ip}"))).await?;
    let Some(service) = found.items.into_iter().next() else { return Ok(Vec::new()) };
    let (name, namespace) = (service.metadata.name, service.metadata.namespace);
    let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
    let slices = Api::<EndpointSlice>::namespaced(client.clone(), &namespace);
    let slices =
        slices.list(&ListParams::default().labels(&format!("kubernetes.io/service-name={name}"))).await?;
    let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
    let wanted = ports.into_iter().find(|candidate| candidate.port == i32::from(port));
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let wanted = wanted.name.unwrap_or_default();
    Ok(slices.items.iter().flat_map(|slice| ready(slice, &wanted)).collect())
}

fn ready(slice: &EndpointSlice, port_name: &str) -> Vec<SocketAddr> {
    let ports = slice.ports.iter().flatten();
    let mut ports = ports.filter(|port| port.name.as_deref().unwrap_or_default() == port_name);
    let port = ports.find_map(|port| u16::try_from(port.port?).ok());
    let Some(port) = port else { return Vec::new() };
    let live = slice.endpoints.iter().flatten().filter(|endpoint| {
        // Not known means ready, as the API says.
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
    });
    let addresses = live.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok());
    addresses.map(|ip| SocketAddr::new(ip, port)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_endpoints_of_the_named_port_are_taken() {
        let slice = json!({ "addressType": "IPv4", "metadata": {},
            "ports": [{ "name": "metrics", "port": 9090 }, { "name": "https", "port": 8443 }],
            "endpoints": [
                { "addresses": ["10.42.1.2"], "conditions": { "ready": true } },
                { "addresses": ["10.42.1.3"], "conditions": { "ready": false } },
                { "addresses": ["10.42.1.4"], "conditions": {} },
                { "addresses": ["not an address"] },
            ] });
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        let expected: Vec<SocketAddr> =
            vec!["10.42.1.2:8443".parse().unwrap(), "10.42.1.4:8443".parse().unwrap()];
        assert_eq!(ready(&slice, "https"), expected);
        assert_eq!(ready(&slice, ""), []);
    }
}
