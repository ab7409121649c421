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
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace too: two releases must not meet in one ClusterRole. */}}
{{- define "cronwright.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "cronwright.fullname" .) | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of an object: (dict "root" $ "component" "api"). */}}
{{- define "cronwright.labels" -}}
{{ include "cronwright.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: cronwright
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
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
{{- $watched := .Values.settings.watchNamespaces -}}
{{- if and $watched (not (has (include "cronwright.namespace" .) $watched)) -}}
{{- fail (printf "settings.watchNamespaces does not name %q, where tasks made by REST are kept: add it, or set settings.namespace to one that is listed." (include "cronwright.namespace" .)) -}}
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

{{/* Where a Pod may run: (the values of its component). */}}
{{- define "cronwright.placement" -}}
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
{{- end -}}
