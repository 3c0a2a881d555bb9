/// What `kubectl get … -o yaml` and `-o json` print, shortened only where whole objects repeat.
enum KubectlOutput {
    /// `kubectl get svc,endpointslices -o yaml`
    static let yaml = """
        apiVersion: v1
        items:
        - apiVersion: v1
          kind: Service
          metadata:
            annotations:
              kubectl.kubernetes.io/last-applied-configuration: |
                {"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"labels":{"app":"hello"},"name":"hello","namespace":"default"},"spec":{"ports":[{"name":"http","port":80,"targetPort":"web"}],"selector":{"app":"hello"}}}
            creationTimestamp: "2025-03-04T10:11:12Z"
            labels:
              app: hello
            name: hello
            namespace: default
            resourceVersion: "4711"
            uid: 0d5e57b4-8d5f-4b3c-9c3f-1b0e6a7d2c11
          spec:
            clusterIP: 10.43.120.7
            clusterIPs:
            - 10.43.120.7
            - fd00:43::7
            internalTrafficPolicy: Cluster
            ipFamilies:
            - IPv4
            - IPv6
            ipFamilyPolicy: PreferDualStack
            ports:
            - name: http
              port: 80
              protocol: TCP
              targetPort: web
            - name: metrics
              port: 9090
              protocol: TCP
              targetPort: 9090
            selector:
              app: hello
            sessionAffinity: None
            type: ClusterIP
          status:
            loadBalancer: {}
        - apiVersion: v1
          kind: Service
          metadata:
            creationTimestamp: "2025-03-04T10:11:12Z"
            name: db
            namespace: default
            resourceVersion: "4712"
            uid: 6f0d2c1a-2e0b-4a53-8a55-6a6de7a0b0a2
          spec:
            clusterIP: None
            clusterIPs:
            - None
            internalTrafficPolicy: Cluster
            ports:
            - name: sql
              port: 5432
              protocol: TCP
              targetPort: 5432
            publishNotReadyAddresses: true
            selector:
              app: db
            sessionAffinity: None
            type: ClusterIP
          status:
            loadBalancer: {}
        - apiVersion: v1
          kind: Service
          metadata:
            creationTimestamp: "2025-03-04T10:11:12Z"
            name: mail
            namespace: default
            resourceVersion: "4713"
            uid: 3b0ad7f3-9a5c-43ff-8bd0-a36cf2b7f0d9
          spec:
            externalName: smtp.example.com
            sessionAffinity: None
            type: ExternalName
          status:
            loadBalancer: {}
        - addressType: IPv4
          apiVersion: discovery.k8s.io/v1
          endpoints:
          - addresses:
            - 10.42.0.5
            conditions:
              ready: true
              serving: true
              terminating: false
            nodeName: node-1
            targetRef:
              kind: Pod
              name: hello-6d4cf56db6-2kqzv
              namespace: default
              uid: 9a0c4d2e-5b0f-4a0e-8f4b-8d8c7a3b2e10
          - addresses:
            - 10.42.0.6
            conditions:
              ready: false
              serving: true
              terminating: true
            nodeName: node-1
          kind: EndpointSlice
          metadata:
            creationTimestamp: "2025-03-04T10:11:13Z"
            generateName: hello-
            generation: 5
            labels:
              app: hello
              endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
              kubernetes.io/service-name: hello
            name: hello-7xk2p
            namespace: default
            ownerReferences:
            - apiVersion: v1
              blockOwnerDeletion: true
              controller: true
              kind: Service
              name: hello
              uid: 0d5e57b4-8d5f-4b3c-9c3f-1b0e6a7d2c11
            resourceVersion: "4720"
            uid: 5c3f4a50-9e3f-4f6e-94b6-c9b9dd0a6a4a
          ports:
          - name: metrics
            port: 9090
            protocol: TCP
          - name: http
            port: 8080
            protocol: TCP
        - addressType: IPv4
          apiVersion: discovery.k8s.io/v1
          endpoints: null
          kind: EndpointSlice
          metadata:
            labels:
              kubernetes.io/service-name: db
            name: db-qq8rm
            namespace: default
          ports: null
        kind: List
        metadata:
          resourceVersion: ""

        """

    /// `kubectl get svc,endpoints -o json`
    static let json = """
        {
            "apiVersion": "v1",
            "items": [
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {
                        "creationTimestamp": "2025-03-04T10:11:12Z",
                        "labels": {
                            "app": "hello"
                        },
                        "name": "hello",
                        "namespace": "default",
                        "resourceVersion": "4711"
                    },
                    "spec": {
                        "clusterIP": "10.43.120.7",
                        "ports": [
                            {
                                "port": 80,
                                "protocol": "TCP",
                                "targetPort": 8080
                            }
                        ],
                        "selector": {
                            "app": "hello"
                        },
                        "sessionAffinity": "None",
                        "type": "ClusterIP"
                    },
                    "status": {
                        "loadBalancer": {}
                    }
                },
                {
                    "apiVersion": "v1",
                    "kind": "Endpoints",
                    "metadata": {
                        "annotations": {
                            "endpoints.kubernetes.io/last-change-trigger-time": "2025-03-04T10:11:13Z"
                        },
                        "name": "hello",
                        "namespace": "default"
                    },
                    "subsets": [
                        {
                            "addresses": [
                                {
                                    "hostname": "hello-0",
                                    "ip": "10.42.0.5",
                                    "nodeName": "node-1",
                                    "targetRef": {
                                        "kind": "Pod",
                                        "name": "hello-0",
                                        "namespace": "default"
                                    }
                                }
                            ],
                            "notReadyAddresses": [
                                {
                                    "ip": "10.42.0.6"
                                }
                            ],
                            "ports": [
                                {
                                    "port": 8080,
                                    "protocol": "TCP"
                                }
                            ]
                        }
                    ]
                }
            ],
            "kind": "List",
            "metadata": {
                "resourceVersion": "",
                "selfLink": ""
            }
        }

        """

    /// `kubectl get endpointslices -o yaml` of a cluster before 1.21.
    static let beta = """
        apiVersion: discovery.k8s.io/v1beta1
        kind: EndpointSlice
        metadata:
          labels:
            kubernetes.io/service-name: db
          name: db-4xw2l
          namespace: default
        addressType: IPv4
        endpoints:
        - addresses:
          - 10.42.0.9
          conditions:
            ready: true
          hostname: db-0
          targetRef:
            kind: Pod
            name: db-0
            namespace: default
          topology:
            kubernetes.io/hostname: node-1
        ports:
        - name: ""
          port: 5432
          protocol: TCP
        """

    /// The answer of `kubectl get --raw /api/v1/services`, whose items do not say what they are.
    static let serviceList =
        #"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":["#
        + #"{"metadata":{"name":"a","namespace":"x"},"spec":{"clusterIP":"10.43.0.9","ports":[{"port":1}]}}]}"#
}
