import Kubernetes
import Testing

@testable import TrafficManager

/// A small cluster with one service of each kind.
enum ClusterFixture {
    static func snapshot(_ text: String = yaml, clusterDomain: String = "cluster.local") throws -> DirectorySnapshot {
        let stream = try ObjectStream(reading: text, file: "services.yaml")
        return DirectorySnapshot(
            objects: stream.objects, clusterDomain: clusterDomain, diagnostics: stream.diagnostics)
    }

    static func service(
        _ name: String, namespace: String = "default", clusterIP: String = "10.43.0.99", endpoints: [String]
    ) -> String {
        """
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: \(name), namespace: \(namespace)}
        spec: {clusterIP: \(clusterIP), ports: [{port: 80, targetPort: 8080}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: \(name)-1, namespace: \(namespace), labels: {kubernetes.io/service-name: \(name)}}
        addressType: IPv4
        endpoints: [\(endpoints.map { "{addresses: [\($0)]}" }.joined(separator: ", "))]
        ports: [{port: 8080}]

        """
    }

    static let yaml = """
        apiVersion: v1
        kind: List
        items:
        # Balanced, both families, a named target port that differs from pod to pod.
        - apiVersion: v1
          kind: Service
          metadata: {name: hello, namespace: default}
          spec:
            clusterIP: 10.43.0.10
            clusterIPs: [10.43.0.10, "fd00:43::10"]
            ports:
            - {name: http, port: 80, targetPort: web}
            - {name: admin, port: 9000, targetPort: 9001}
            - {name: dns, port: 53, targetPort: 5353, protocol: UDP}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: hello-a, namespace: default, labels: {kubernetes.io/service-name: hello}}
          addressType: IPv4
          endpoints:
          - {addresses: [10.42.0.1], conditions: {ready: true}}
          - {addresses: [10.42.0.2], conditions: {ready: true}}
          - {addresses: [10.42.0.3], conditions: {ready: false}}
          ports:
          - {name: admin, port: 9001}
          - {name: http, port: 8080}
          - {name: dns, port: 5353, protocol: UDP}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: hello-b, namespace: default, labels: {kubernetes.io/service-name: hello}}
          addressType: IPv4
          endpoints:
          - {addresses: [10.42.0.4], conditions: {}}
          ports:
          - {name: http, port: 8081}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: hello-c, namespace: default, labels: {kubernetes.io/service-name: hello}}
          addressType: IPv6
          endpoints:
          - {addresses: ["fd00:42::1"]}
          ports:
          - {name: http, port: 8080}
        # Headless, with hostnames; one pod is not ready.
        - apiVersion: v1
          kind: Service
          metadata: {name: db, namespace: default}
          spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: db-a, namespace: default, labels: {kubernetes.io/service-name: db}}
          addressType: IPv4
          endpoints:
          - {addresses: [10.42.1.1], hostname: db-0, targetRef: {kind: Pod, name: db-0}}
          - {addresses: [10.42.1.2], hostname: db-1, targetRef: {kind: Pod, name: db-1}}
          - {addresses: [10.42.1.3], hostname: db-2, conditions: {ready: false}}
          - {addresses: [10.42.1.4]}
          ports:
          - {name: sql, port: 5433}
        # Headless, and publishes whoever there is.
        - apiVersion: v1
          kind: Service
          metadata: {name: gossip, namespace: default}
          spec: {clusterIP: None, publishNotReadyAddresses: true}
        - apiVersion: v1
          kind: Endpoints
          metadata: {name: gossip, namespace: default}
          subsets: [{notReadyAddresses: [{ip: 10.42.1.9, hostname: g-0}]}]
        # Endpoints alone, an unnamed port.
        - apiVersion: v1
          kind: Service
          metadata: {name: old, namespace: shop}
          spec: {clusterIP: 10.43.0.20, ports: [{port: 80, targetPort: 8080}]}
        - apiVersion: v1
          kind: Endpoints
          metadata: {name: old, namespace: shop}
          subsets: [{addresses: [{ip: 10.42.2.1}], notReadyAddresses: [{ip: 10.42.2.2}], ports: [{port: 8080}]}]
        # Nobody is ready.
        - apiVersion: v1
          kind: Service
          metadata: {name: idle, namespace: default}
          spec: {clusterIP: 10.43.0.30, ports: [{port: 80}]}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: idle-a, namespace: default, labels: {kubernetes.io/service-name: idle}}
          addressType: IPv4
          endpoints: [{addresses: [10.42.3.1], conditions: {ready: false}}]
          ports: [{port: 80}]
        # Everybody who serves is on the way out.
        - apiVersion: v1
          kind: Service
          metadata: {name: leaving, namespace: default}
          spec: {clusterIP: 10.43.0.31, ports: [{port: 80}]}
        - apiVersion: discovery.k8s.io/v1
          kind: EndpointSlice
          metadata: {name: leaving-a, namespace: default, labels: {kubernetes.io/service-name: leaving}}
          addressType: IPv4
          endpoints: [{addresses: [10.42.3.2], conditions: {ready: false, serving: true, terminating: true}}]
          ports: [{port: 80}]
        # Outside, inside under another name, and in a circle.
        - {apiVersion: v1, kind: Service, metadata: {name: mail}, spec: {type: ExternalName, externalName: smtp.example.com}}
        - {apiVersion: v1, kind: Service, metadata: {name: alias}, spec: {type: ExternalName, externalName: old.shop.svc.cluster.local}}
        - {apiVersion: v1, kind: Service, metadata: {name: ring-a}, spec: {type: ExternalName, externalName: ring-b.default.svc.cluster.local}}
        - {apiVersion: v1, kind: Service, metadata: {name: ring-b}, spec: {type: ExternalName, externalName: ring-a.default.svc.cluster.local.}}
        - {apiVersion: v1, kind: Service, metadata: {name: kube-dns, namespace: kube-system}, spec: {clusterIP: 10.43.0.53, ports: [{name: dns-tcp, port: 53}]}}
        """
}
