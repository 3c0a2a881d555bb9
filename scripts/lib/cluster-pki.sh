# shellcheck shell=bash
# Certificates and kubeconfigs. They outlive the cluster's contents, so that a kubeconfig once handed out stays valid.
# Sourced, never run.

pki=$state/pki

write_pki() {
    local name account='/O=system:masters' names
    # What the certificates speak of: with other names and addresses they are made anew.
    local subject="$node_name $node_address $api_service_address $domain"
    (
        umask 077
        mkdir -p "$pki"
        cd "$pki" || exit 1
        if [ "$(cat subject 2>/dev/null)" != "$subject" ]; then
            rm -f -- *
            echo "$subject" >subject
        fi
        names="DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.$domain"
        authority ca
        authority front-proxy-ca
        certificate apiserver ca /CN=kube-apiserver serverAuth \
            "$names,DNS:localhost,DNS:$node_name,IP:$api_service_address,IP:$node_address,IP:127.0.0.1"
        certificate kubelet-server ca "/CN=$node_name" serverAuth "DNS:$node_name,IP:$node_address,IP:127.0.0.1"
        certificate apiserver-kubelet-client ca "$account/CN=kube-apiserver-kubelet-client" clientAuth
        certificate front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
        certificate admin ca "$account/CN=admin" clientAuth
        certificate kubelet ca "/O=system:nodes/CN=system:node:$node_name" clientAuth
        for name in kube-controller-manager kube-scheduler kube-proxy cluster-dns; do
            certificate "$name" ca "/CN=system:$name" clientAuth
        done
        # Signs the tokens of service accounts.
        [ -s sa.key ] || openssl genrsa -out sa.key 2048 2>/dev/null
        [ -s sa.pub ] || openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
        for name in kubelet kube-controller-manager kube-scheduler kube-proxy; do
            write_kubeconfig "$name" >"$name.kubeconfig"
        done
        write_kubeconfig admin >"$kubeconfig.new" && mv "$kubeconfig.new" "$kubeconfig"
    ) || fail "could not write the certificates into $pki"
}

key() { [ -s "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

authority() {
    key "$1"
    [ -s "$1.crt" ] || openssl req -x509 -new -key "$1.key" -days 3650 -subj "/CN=telepresence-cluster-$1" -out "$1.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,digitalSignature,keyCertSign
}

certificate() { # certificate NAME AUTHORITY SUBJECT USAGE [NAMES]
    [ ! -s "$1.crt" ] || return 0
    key "$1"
    openssl x509 -req -in <(openssl req -new -key "$1.key" -subj "$3") -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 3650 \
        -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n' "$4"
            [ -z "${5-}" ] || echo "subjectAltName=$5") -out "$1.crt.new" 2>/dev/null && mv "$1.crt.new" "$1.crt"
}

write_kubeconfig() { # write_kubeconfig NAME
    cat <<END
apiVersion: v1
kind: Config
current-context: default
contexts:
- name: default
  context: {cluster: default, user: $1, namespace: default}
clusters:
- name: default
  cluster:
    server: https://$node_address:6443
    certificate-authority-data: $(base64 -w 0 ca.crt)
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w 0 "$1.crt")
    client-key-data: $(base64 -w 0 "$1.key")
END
}
