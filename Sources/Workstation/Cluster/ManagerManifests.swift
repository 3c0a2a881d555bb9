package import Kubernetes
package import SSHProtocol

/// What a traffic manager is in a cluster: every object of it.
package struct ManagerManifests: Sendable {
    /// Of everything but the cluster-wide objects, whose names have the namespace, too.
    package static let name = "traffic-manager"
    package static let hostKeySecret = "traffic-manager-host-key"
    package static let authorizedKeysSecret = "traffic-manager-authorized-keys"
    /// On the Deployment: the public host key, by which workstations know the manager.
    package static let hostKeyAnnotation = "telepresence.io/host-key"
    package static let selector = "app=traffic-manager"
    static let hostKeyFile = "ssh_host_ed25519_key"
    /// The image's user: no name is needed for it in the image.
    private static let userID = 65_532

    package var namespace: String
    package var image: String
    /// The only ones it may look at and change; all if there is none.
    package var namespaces: [String] = []
    /// More arguments of the manager's.
    package var arguments: [String] = []

    package init(namespace: String, image: String) {
        self.namespace = namespace
        self.image = image
    }

    private static let labels: JSONValue = [
        "app": "traffic-manager", "app.kubernetes.io/name": "traffic-manager",
        "app.kubernetes.io/managed-by": "telepresence",
    ]

    private func metadata(_ name: String, isNamespaced: Bool = true) -> JSONValue {
        var metadata: JSONValue = ["name": .string(name), "labels": Self.labels]
        if isNamespaced { metadata["namespace"] = .string(namespace) }
        return metadata
    }

    /// In the order in which they are made. The two Secrets are not among them: their contents are somebody's.
    package func objects(hostKey: PublicKey) -> [JSONValue] {
        [serviceAccount] + roles + [service, deployment(hostKey)]
    }

    private var serviceAccount: JSONValue {
        ["apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(Self.name)]
    }

    // MARK: Rights

    private static func rule(_ group: String, _ resources: [String], _ verbs: [String]) -> JSONValue {
        [
            "apiGroups": [.string(group)], "resources": .array(resources.map { .string($0) }),
            "verbs": .array(verbs.map { .string($0) }),
        ]
    }

    /// In each namespace that it serves.
    private static let rules: [JSONValue] = [
        rule("", ["services"], ["get", "list", "watch", "patch"]),
        rule("", ["endpoints"], ["get", "list", "watch"]),
        // Deleted, where Kubernetes does not replace them by itself: a ReplicaSet's, and a StatefulSet's that is broken.
        rule("", ["pods"], ["get", "list", "watch", "delete"]),
        rule("", ["events"], ["list"]),
        rule("discovery.k8s.io", ["endpointslices"], ["get", "list", "watch"]),
        rule("apps", ["deployments", "replicasets", "statefulsets"], ["get", "list", "watch", "patch"]),
    ]

    /// In its own.
    private static let ownRules: [JSONValue] = [
        [
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": [.string(authorizedKeysSecret)],
            "verbs": ["get", "list", "watch"],
        ]
    ]

    /// Cluster-wide by their nature: whether an agent's token is one, and where pods and Services are.
    private static let clusterRules: [JSONValue] = [
        rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
        rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
        rule("", ["nodes"], ["get", "list"]),
        rule("networking.k8s.io", ["servicecidrs"], ["get", "list"]),
    ]

    private var clusterName: String { "\(Self.name)-\(namespace)" }

    private func binding(_ kind: String, _ metadata: JSONValue, to role: String) -> JSONValue {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": .string("\(kind)Binding"), "metadata": metadata,
            "roleRef": [
                "apiGroup": "rbac.authorization.k8s.io", "kind": .string(kind), "name": .string(role),
            ],
            "subjects": [
                ["kind": "ServiceAccount", "name": .string(Self.name), "namespace": .string(namespace)]
            ],
        ]
    }

    private func role(_ kind: String, _ metadata: JSONValue, _ rules: [JSONValue]) -> JSONValue {
        [
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": .string(kind), "metadata": metadata,
            "rules": .array(rules),
        ]
    }

    private var roles: [JSONValue] {
        let cluster = metadata(clusterName, isNamespaced: false)
        var objects = [
            role("Role", metadata(Self.name), Self.ownRules), binding("Role", metadata(Self.name), to: Self.name),
        ]
        guard !namespaces.isEmpty else {
            return objects + [
                role("ClusterRole", cluster, Self.rules + Self.clusterRules),
                binding("ClusterRole", cluster, to: clusterName),
            ]
        }
        for served in namespaces {
            var place = metadata("\(Self.name)-agents")
            place["namespace"] = .string(served)
            objects += [role("Role", place, Self.rules), binding("Role", place, to: "\(Self.name)-agents")]
        }
        return objects
    }

    // MARK: What runs

    private var service: JSONValue {
        [
            "apiVersion": "v1", "kind": "Service", "metadata": metadata(Self.name),
            "spec": [
                "clusterIP": "None", "selector": ["app": "traffic-manager"],
                "ports": [
                    ["name": "ssh", "port": 8022, "protocol": "TCP", "targetPort": "ssh"],
                    ["name": "api", "port": 8081, "protocol": "TCP", "targetPort": "api"],
                ],
            ],
        ]
    }

    private func deployment(_ hostKey: PublicKey) -> JSONValue {
        var metadata = metadata(Self.name)
        metadata["annotations"] = [Self.hostKeyAnnotation: .string(hostKey.openSSHLine)]
        return [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": [
                "replicas": 1, "selector": ["matchLabels": ["app": "traffic-manager"]],
                "template": [
                    "metadata": ["labels": Self.labels],
                    "spec": [
                        "serviceAccountName": .string(Self.name), "terminationGracePeriodSeconds": 20,
                        "securityContext": [
                            "runAsNonRoot": true, "runAsUser": .integer(Int64(Self.userID)),
                            "fsGroup": .integer(Int64(Self.userID)), "seccompProfile": ["type": "RuntimeDefault"],
                        ],
                        "containers": [container],
                        "volumes": [
                            [
                                "name": "host-key",
                                "secret": ["secretName": .string(Self.hostKeySecret), "defaultMode": 0o440],
                            ]
                        ],
                    ],
                ],
            ],
        ]
    }

    private var container: JSONValue {
        let arguments =
            [
                "manager", "--kubernetes", "--namespace", namespace, "--image", image, "--authorized-keys-secret",
                Self.authorizedKeysSecret, "--host-key", "/etc/telepresence/\(Self.hostKeyFile)",
            ] + namespaces.flatMap { ["--mapped-namespaces", $0] } + self.arguments
        return [
            "name": .string(Self.name), "image": .string(image), "imagePullPolicy": "IfNotPresent",
            "args": .array(arguments.map { .string($0) }),
            "env": [
                ["name": "POD_NAME", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
                ["name": "POD_NAMESPACE", "valueFrom": ["fieldRef": ["fieldPath": "metadata.namespace"]]],
            ],
            "ports": [
                ["name": "ssh", "containerPort": 8022, "protocol": "TCP"],
                ["name": "api", "containerPort": 8081, "protocol": "TCP"],
            ],
            // Started, and by that ready, when it knows the cluster: nobody is told of services that are not there yet. Probes
            // would say so a second or two later, and once it is ready it stays so.
            "lifecycle": ["postStart": ["exec": ["command": ["/usr/local/bin/traffic", "ready"]]]],
            "livenessProbe": [
                "httpGet": ["path": "/healthz", "port": "api"], "periodSeconds": 10, "failureThreshold": 6,
            ],
            "resources": [
                "requests": ["cpu": "50m", "memory": "64Mi"], "limits": ["cpu": "2", "memory": "512Mi"],
            ],
            "securityContext": [
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": ["drop": ["ALL"]],
            ],
            "volumeMounts": [
                ["name": "host-key", "mountPath": "/etc/telepresence", "readOnly": true]
            ],
        ]
    }

    // MARK: Secrets

    package func hostKeySecret(_ key: PrivateKey) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata(Self.hostKeySecret), "type": "Opaque",
            "data": [
                Self.hostKeyFile: SecretData.encode(key.openSSH),
                "\(Self.hostKeyFile).pub": SecretData.encode(key.publicKey.openSSHLine),
            ],
        ]
    }

    /// One key of the Secret for each user: `authorized_keys` lines under the user's name.
    package func authorizedKeys(_ lines: [String: String] = [:]) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata(Self.authorizedKeysSecret), "type": "Opaque",
            "data": .object(lines.mapValues { SecretData.encode($0) }),
        ]
    }
}
