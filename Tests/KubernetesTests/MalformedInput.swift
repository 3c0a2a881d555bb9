/// Files with one thing wrong each, and the line that is said about them after the file's name.
enum MalformedInput {
    static let texts = cases.map(\.0)
    static let complaints = cases.map(\.1)

    private static func service(_ spec: String, name: String = "hello") -> String {
        """
        apiVersion: v1
        kind: Service
        metadata:
          name: \(name)
        spec:

        """ + spec.split(separator: "\n").map { "  \($0)\n" }.joined()
    }

    private static func slice(_ rest: String) -> String {
        """
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: s, labels: {kubernetes.io/service-name: hello}}

        """ + rest
    }

    private static let cases: [(String, String)] = [
        (
            service("clusterIP: 10.43.0.300"),
            "6: spec.clusterIP of Service default/hello is \"10.43.0.300\"; expected an IP address or None"
        ),
        (
            service("clusterIPs: [10.43.0.1, None]"),
            "6: spec.clusterIPs[0] of Service default/hello is \"10.43.0.1\"; "
                + "expected either None alone or addresses alone"
        ),
        (
            service("clusterIP: 10.43.0.1\nports:\n- name: http\n  port: 80000"),
            "9: spec.ports[0].port of Service default/hello is \"80000\"; expected a port number from 1 to 65535"
        ),
        (
            service("ports:\n- port: \"80\""),
            "7: spec.ports[0].port of Service default/hello is \"80\"; expected a port number from 1 to 65535"
        ),
        (
            service("ports:\n- port: 80\n  targetPort: 0"),
            "8: spec.ports[0].targetPort of Service default/hello is \"0\"; "
                + "expected a port number from 1 to 65535 or a port name"
        ),
        (
            service("ports:\n- port: 80\n  protocol: tcp"),
            "8: spec.ports[0].protocol of Service default/hello is \"tcp\"; expected TCP, UDP or SCTP"
        ),
        (
            service("ports:\n- name: http"),
            "7: Service default/hello has no spec.ports[0].port; expected spec.ports[0].port to be set"
        ),
        (
            service("ports:\n- port: 80\n- port: 81"),
            "8: spec.ports[1] of Service default/hello is a mapping; expected a name for each of several ports"
        ),
        (
            service("ports:\n  port: 80"),
            "7: spec.ports of Service default/hello is a mapping; expected a sequence"
        ),
        (
            service("type: Clusterip"),
            "6: spec.type of Service default/hello is \"Clusterip\"; "
                + "expected ClusterIP, NodePort, LoadBalancer or ExternalName"
        ),
        (
            service("type: ExternalName"),
            "6: Service default/hello has no spec.externalName; expected spec.externalName to be set"
        ),
        (
            service("publishNotReadyAddresses: \"true\""),
            "6: spec.publishNotReadyAddresses of Service default/hello is \"true\"; expected true or false"
        ),
        (
            service("type: ClusterIP", name: "Hello_World"),
            "4: metadata.name of Service default/Hello_World is \"Hello_World\"; "
                + "expected a name of lower-case letters, digits, '-' and '.'"
        ),
        (
            service("type: ClusterIP", name: "8080"),
            "4: metadata.name of Service is \"8080\"; expected a name of lower-case letters, digits, '-' and '.' "
                + "(in quotes)"
        ),
        (
            service("selector: [a]"),
            "6: spec.selector of Service default/hello is a sequence; expected a mapping of strings"
        ),
        (
            slice("addressType: IPv4\nendpoints:\n- addresses:\n  - 10.42.0.5\n  - 10.42.0\n"),
            "8: endpoints[0].addresses[1] of EndpointSlice default/s is \"10.42.0\"; expected an IP address"
        ),
        (
            slice("addressType: IPv6\nendpoints:\n- addresses: [10.42.0.5]\n"),
            "6: endpoints[0].addresses[0] of EndpointSlice default/s is \"10.42.0.5\"; "
                + "expected an IPv6 address, as addressType says"
        ),
        (
            slice("endpoints: []\n"),
            "1: EndpointSlice default/s has no addressType; expected addressType to be set"
        ),
        (
            slice("addressType: IPv4\nendpoints:\n- addresses: [10.42.0.5]\n  conditions: {ready: maybe}\n"),
            "7: endpoints[0].conditions.ready of EndpointSlice default/s is \"maybe\"; expected true or false"
        ),
        (
            "apiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets:\n- addresses:\n  - ip: here\n",
            "6: subsets[0].addresses[0].ip of Endpoints default/e is \"here\"; expected an IP address"
        ),
        (
            "{\"apiVersion\": \"v1\",\n \"kind\": \"Service\",\n \"metadata\": {\"name\": 7}}",
            "3: metadata.name of Service is \"7\"; expected a name of lower-case letters, digits, '-' and '.' "
                + "(in quotes)"
        ),
        (
            KubectlOutput.serviceList + "\n{\"apiVersion\": \"v1\",\n \"kind\": \"Service\"}",
            "2: Service has no metadata; expected metadata to be set"
        ),
        ("kind: Service\n", "1: an object has no apiVersion; expected apiVersion to be set"),
        ("hello\n", "1: this document is \"hello\"; expected a Kubernetes object: a mapping with kind and metadata"),
        (
            "apiVersion: v1\nkind: List\nitems:\n- - 1\n",
            "4: items[0] is a sequence; expected a Kubernetes object: a mapping with kind and metadata"
        ),
        (
            "apiVersion: v1\nkind: Service\nkind: Service\n",
            "2: the key kind stands twice in one mapping; expected YAML or JSON as kubectl prints it"
        ),
        (
            "apiVersion: v1\n\tkind: Service\n",
            "2: while scanning a plain scalar, found a tab character that violates indentation; "
                + "expected YAML or JSON as kubectl prints it"
        ),
        (
            "{\"apiVersion\": \"v1\",\n \"kind\": \"List\"\n",
            "3: while parsing a flow mapping, did not find expected ',' or '}'; "
                + "expected YAML or JSON as kubectl prints it"
        ),
        (
            "a: 1\nb: \u{1}\n",
            "2: control characters are not allowed; expected YAML or JSON as kubectl prints it"
        ),
    ]
}
