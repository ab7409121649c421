{{/* Names, labels and the parts that the Pods of the chart share. */}}

{{- define "cronwright.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters at most, so that every suffix below still fits into 63. */}}
{{- define "cronwright.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- /* Helm allows dots in a release's name, a Service does not. */ -}}
{{- $release := replace "." "-" .Release.Name -}}
{{- if contains $name $release -}}
{{- $release | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $release $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too: two releases must not meet in one ClusterRole. Not cut: their names may have 253 characters. */}}
{{- define "cronwright.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "cronwright.fullname" .) -}}
{{- end -}}

{{/* Labels of an object: (dict "root" $ "component" "api"). */}}
{{- define "cronwright.labels" -}}
{{ include "cronwright.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: cronwright
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cronwright.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cronwright.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "cronwright.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository $tag -}}
{{- end -}}
{{- end -}}

{{/* Where REST-made Projects and tasks go. */}}
{{- define "cronwright.namespace" -}}
{{- default .Release.Namespace .Values.settings.namespace -}}
{{- end -}}

{{/* The ServiceAccount of a component: (dict "root" $ "component" "api"). */}}
{{- define "cronwright.serviceAccountName" -}}
{{- $account := (get .root.Values .component).serviceAccount -}}
{{- $default := ternary (printf "%s-%s" (include "cronwright.fullname" .root) .component) "" $account.create -}}
{{- default $default $account.name -}}
{{- end -}}

{{- define "cronwright.leaseName" -}}
{{- default (printf "%s-operator" (include "cronwright.fullname" .)) .Values.operator.leaseName -}}
{{- end -}}

{{- define "cronwright.authSecret" -}}
{{- default (printf "%s-jwt-keys" (include "cronwright.fullname" .)) .Values.auth.existingSecret -}}
{{- end -}}

{{- define "cronwright.databaseSecret" -}}
{{- default (printf "%s-postgresql" (include "cronwright.fullname" .)) .Values.database.existingSecret.name -}}
{{- end -}}

{{- define "cronwright.databaseSecretKey" -}}
{{- if .Values.database.existingSecret.name }}{{ .Values.database.existingSecret.key }}{{ else }}url{{ end -}}
{{- end -}}

{{/* Combinations that the schema cannot judge. Included by the API's Deployment, so that every rendering meets them. */}}
{{- define "cronwright.check" -}}
{{- $given := .Values.database.existingSecret.name -}}
{{- if and $given .Values.postgresql.enabled -}}
{{- fail "Two databases: database.existingSecret.name is set while postgresql.enabled is true. Add --set postgresql.enabled=false to use your own database, or leave database.existingSecret.name empty to use the bundled one." -}}
{{- end -}}
{{- if not (or $given .Values.postgresql.enabled) -}}
{{- fail "No database: set database.existingSecret.name (a Secret whose key `url` holds postgresql://user:password@host:5432/database), or postgresql.enabled=true for a bundled one to try out." -}}
{{- end -}}
{{- if and .Values.image.tag .Values.image.digest -}}
{{- fail "Two versions: image.tag and image.digest are both set, and the digest would win. Leave one of them empty, such as --set image.tag= to go by the digest alone." -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]" (include "cronwright.fullname" .)) -}}
{{- fail (printf "Names of Services begin with a letter, and this release's would be %q: set fullnameOverride." (include "cronwright.fullname" .)) -}}
{{- end -}}
{{- $watched := .Values.settings.watchNamespaces -}}
{{- if and $watched (not (has (include "cronwright.namespace" .) $watched)) -}}
{{- fail (printf "settings.watchNamespaces does not name %q, where tasks made by REST are kept: add it, or set settings.namespace to one that is listed." (include "cronwright.namespace" .)) -}}
{{- end -}}
{{- $ignored := .Values.settings.ignoreNamespaces -}}
{{- if and $watched $ignored -}}
{{- fail "settings.watchNamespaces and settings.ignoreNamespaces are both set: the first names what is served, the second what is left out of all. Leave one of them empty." -}}
{{- end -}}
{{- if has (include "cronwright.namespace" .) $ignored -}}
{{- fail (printf "settings.ignoreNamespaces names %q, where tasks made by REST are kept: nothing would run them." (include "cronwright.namespace" .)) -}}
{{- end -}}
{{- range $component := list "api" "operator" -}}
{{- with (get $.Values $component).serviceAccount -}}
{{- if not (or .create .name) -}}
{{- fail (printf "No ServiceAccount for the %s: %s.serviceAccount.create is false, so %s.serviceAccount.name must name one of yours." $component $component $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $ingress := .Values.api.ingress -}}
{{- if and $ingress.enabled (not $ingress.hosts) -}}
{{- fail "api.ingress.enabled is true and api.ingress.hosts is empty: name at least one host." -}}
{{- end -}}
{{- $scaling := .Values.api.autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail "api.autoscaling.minReplicas is more than api.autoscaling.maxReplicas." -}}
{{- end -}}
{{- if and $scaling.enabled (not (dig "requests" "cpu" "" (default dict .Values.api.resources))) -}}
{{- fail "api.autoscaling needs api.resources.requests.cpu: it compares the use of the CPU with that." -}}
{{- end -}}
{{- $monitor := .Values.metrics.serviceMonitor -}}
{{- if and $monitor.enabled (gt (include "cronwright.milliseconds" $monitor.scrapeTimeout | int64) (include "cronwright.milliseconds" $monitor.interval | int64)) -}}
{{- fail "metrics.serviceMonitor.scrapeTimeout is longer than metrics.serviceMonitor.interval: Prometheus would refuse it." -}}
{{- end -}}
{{- $jwks := .Values.auth.jwks -}}
{{- if and $jwks.url $jwks.file.name -}}
{{- fail "Two key sets: auth.jwks.url and auth.jwks.file.name are both set. Leave one of them empty." -}}
{{- end -}}
{{- if and (hasPrefix "http://" $jwks.url) (not $jwks.allowHttp) -}}
{{- fail "auth.jwks.url is http: who stands between could put keys of their own into the answer. Use https, or set auth.jwks.allowHttp=true in a network that you trust." -}}
{{- end -}}
{{- if not (or .Values.auth.secretKeys $jwks.url $jwks.file.name) -}}
{{- fail "No keys to check tokens by: auth.secretKeys is false, and neither auth.jwks.url nor auth.jwks.file.name is set." -}}
{{- end -}}
{{- end -}}

{{/* A duration as Prometheus writes it, such as 1m30s. */}}
{{- define "cronwright.milliseconds" -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+" . -}}
{{- $total = add $total (mul (trimSuffix $unit . | int64) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit)) -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{/* Settings that API, migration and operator share. */}}
{{- define "cronwright.env" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "cronwright.databaseSecret" . }}
      key: {{ include "cronwright.databaseSecretKey" . }}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: CRONWRIGHT_LOG_LEVEL
  value: {{ .Values.settings.logLevel | quote }}
- name: CRONWRIGHT_NAMESPACE
  value: {{ include "cronwright.namespace" . | quote }}
- name: CRONWRIGHT_WATCH_NAMESPACES
  value: {{ join "," .Values.settings.watchNamespaces | quote }}
{{- with .Values.settings.ignoreNamespaces }}
- name: CRONWRIGHT_IGNORE_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: CRONWRIGHT_DEFAULT_TIME_ZONE
  value: {{ .Values.settings.defaultTimeZone | quote }}
{{- end -}}

{{/* The `restricted` Pod security standard, for the product's own image. */}}
{{- define "cronwright.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "cronwright.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Labels and annotations of a Pod: (dict "root" $ "component" "api"), and "annotations" of the chart's own. */}}
{{- define "cronwright.podMetadata" -}}
{{- $values := get .root.Values .component -}}
labels:
  {{- include "cronwright.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (default dict .annotations) (default dict $values.podAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the Pods of hooks may run: where the operator may. */}}
{{- define "cronwright.hookPlacement" -}}
{{- with .Values.operator.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.operator.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where a Pod may run: (dict "root" $ "component" "api"). */}}
{{- define "cronwright.placement" -}}
{{- $labels := include "cronwright.selectorLabels" . -}}
{{- with get .root.Values .component -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{- toYaml . | nindent 4 }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels:
        {{- $labels | nindent 8 }}
    {{- end }}
    {{- if not (or .labelSelector .matchLabelKeys) }}
    # Only Pods of the same version count, or a rollout would spread beside those that are about to go.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}
