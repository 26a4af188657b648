"""The formulas of the API page in LaTeX, with the macros of ``_config.yml``: docstrings hold the same in plain text."""

FORMULAS = {
    # distances
    "swref.transport": r"""
        \W_\gamma(\mu,\nu)^2=\min_{\pi\in\Pi(\mu,\nu)}\gamma\Bigl(\sum_{ij}\pi_{ij}(y_j-x_i)(y_j-x_i)^\T\Bigr)
        \qquad=\max_{Q\in\K}\ \min_\pi\ \ip{Q}{\Sig_\pi}""",
    "swref.TransportResult": r"f_i+g_j\le(x_i-y_j)^\T Q^\star(x_i-y_j),\qquad L=\sum_ia_if_i+\sum_jb_jg_j",
    "swref.TransportResult.gradient": r"""
        \nabla_{x_i}\W_\gamma^2=2\sum_j\pi_{ij}Q^\star(x_i-y_j),\qquad
        \nabla_{y_j}\W_\gamma^2=2\sum_i\pi_{ij}Q^\star(y_j-x_i)""",
    "swref.pairwise": r"\bigl(\W_\gamma(\mu_i,\nu_j)\bigr)_{ij}",
    "swref.exact_transport": r"""
        \W_Q(\mu,\nu)^2=\min_{\pi\in\Pi(\mu,\nu)}\sum_{ij}\pi_{ij}\,(x_i-y_j)^\T Q\,(x_i-y_j)""",
    "swref.displacement": r"\mu_t=\sum_{ij}\pi_{ij}\,\delta_{(1-t)x_i+ty_j}",
    "swref.gaussian_transport": r"""
        \W_\gamma^2=\min_K\ \gamma\bigl(\Delta\Delta^\T+\Sig_0+\Sig_1-K-K^\T\bigr)
        \quad\text{over}\quad\begin{pmatrix}\Sig_0&K\\K^\T&\Sig_1\end{pmatrix}\succeq0,\quad\Delta=m_1-m_0""",
    "swref.GaussianResult.conditional": r"\mathcal L(y\mid x)=\mathcal N\bigl(m_1+T(x-m_0),\ N\bigr)",
    "swref.GaussianResult.interpolate": r"\mathcal L\bigl((1-t)x+ty\bigr)",
    "swref.moment_lower_bound": r"""
        \W_\gamma(\mu,\nu)\ge\W_\gamma\bigl(\mathcal N(m_\mu,\Sig_\mu),\mathcal N(m_\nu,\Sig_\nu)\bigr)""",
    "swref.dynamic_transport": r"""
        \W_\gamma^2=\min\int_0^1\gamma\Bigl(\int\frac{m_tm_t^\T}{\rho_t}\dd x\Bigr)\dd t
        \quad\text{over}\quad\partial_t\rho+\nabla\cdot m=0""",
    "swref.DynamicResult": r"\partial_t\phi+\tfrac14\nabla\phi^\T Q(t)^{-1}\nabla\phi\le0,\qquad Q(t)\in\K",
    "swref.spherical_transport": r"""
        \mathsf{UW}_\gamma(\nu_0,\nu_1)^2=\min_\pi\ \gamma\Bigl(\int(z_1-z_0)(z_1-z_0)^\T\dd\pi(z_0,z_1)\Bigr)
        \quad\text{over lifts }\pi""",
    "swref.SphericalResult": r"""
        (q_{ii}-f_i)(q_{jj}-g_j)\ge\max(q_{ij},0)^2,\qquad q_{ij}=\omega_i^\T Q^\star\omega'_j""",
    "swref.SphericalResult.geodesic": r"\Pi_2\bigl((1-t)z_0+tz_1\bigr)_\sharp\,\pi",
    "swref.sphere.project": r"\int\psi\,\dd(\Pi_2\mu)=\int\abs x^2\,\psi\bigl(x/\abs x\bigr)\dd\mu(x)",
    "swref.sphere.split": r"v=b\,x+\abs x\,\tau,\qquad\tau\perp x",
    "swref.sphere.continuity_residual": r"""
        \frac{\dd}{\dd t}\int\psi\,\dd\nu_t-\int(2b\,\psi+\tau\cdot\nabla\psi)\,\dd\nu_t""",
    "swref.geodesics.speeds": r"\frac{\W_\gamma(\mu_s,\mu_t)}{t-s}",
    "swref.geodesics.density": r"\rho(z)=\sum_iw_i(2\pi h^2)^{-d/2}\,e^{-\abs{z-x_i}^2/(2h^2)}",
    "swref.geodesics.momentum": r"m(z)=\sum_iw_iv_i(2\pi h^2)^{-d/2}\,e^{-\abs{z-x_i}^2/(2h^2)}",
    # gauges
    "swref.Gauge": r"\gamma(S)=\max_{Q\in\K}\ip QS,\qquad N(V)=\gamma(V^\T V)^{1/2}",
    "swref.Gauge.support": r"Q\in\K,\qquad\ip QS=\gamma(S)",
    "swref.Gauge.polar": r"\gamma^\circ(Q)=\sup\set{\ip QS:S\in\PSD,\ \gamma(S)\le1}",
    "swref.Gauge.project": r"\argmin_{Q\in\K}\norm{Q-A}_F",
    "swref.Gauge.measure_multiplier": r"v=-P\,g,\qquad C=\int gg^\T\dd\mu",
    "swref.Gauge.congruence": r"S\mapsto\gamma(A^\T SA)",
    "swref.SpectralGauge": r"\gamma(S)=\varphi\bigl(\lambda_1(S),\dots,\lambda_d(S)\bigr)",
    "swref.SpectralGauge.dphi": r"""
        q\ge0,\qquad q\cdot\lambda=\varphi(\lambda),\qquad q\cdot x\le\varphi(x)\ \text{for all}\ x\ge0""",
    "swref.gauges.Sum": r"(\gamma_1+\dots+\gamma_k)(S),\qquad\K=\K_1+\dots+\K_k",
    "swref.gauges.Max": r"\max_i\gamma_i(S),\qquad\K=\conv\bigl(\K_1\cup\dots\cup\K_k\bigr)",
    "swref.gauges.maximum": r"\max_i\gamma_i(S)",
    "swref.gauges.Multiple": r"a\,\gamma(S),\qquad a>0",
    "swref.gauges.Congruence": r"\gamma(A^\T SA),\qquad\K=A\,\K_\gamma\,A^\T",
    # linear minimization oracles
    "swref.lmo": r"J(G)=\argmin_V\ \ip GV+\tfrac12\gamma(V^\T V)",
    "swref.measure_lmo": r"""
        \argmin_v\ \sum_iw_i\,g_i\cdot v_i+\tfrac12\gamma\Bigl(\sum_iw_iv_iv_i^\T\Bigr)""",
    "swref.tangent_norm": r"N(v)=\gamma\Bigl(\sum_iw_iv_iv_i^\T\Bigr)^{1/2}",
    "swref.dual_norm": r"N^*(g)=\max\Bigl\{\sum_iw_i\,g_i\cdot v_i:\ N(v)\le1\Bigr\}",
    # energies and flows
    "swref.energies.MMD": r"""
        \mathcal F=\sum_{ij}w_iw_jk(x_i,x_j)+\sum_{ij}v_iv_jk(y_i,y_j)
        \qquad-2\sum_{ij}w_iv_jk(x_i,y_j)""",
    "swref.energies.TwoLayerNet": r"""
        \mathcal F=\frac1{2N}\sum_j\bigl(H(z_j)-y_j\bigr)^2,\qquad H(z)=\sum_iw_iu_i\,\sigma(v_i\cdot z)""",
    "swref.energies.Attention": r"""
        \mathcal F=\frac1{2N}\sum_s\abs{H_\mu(z_s)-y_s}^2,\qquad H_\mu=\int\phi(\cdot,x)\,\dd\mu(x)""",
    "swref.energies.Potential": r"\mathcal F=\sum_iw_ih(x_i),\qquad g_i=\nabla h(x_i)",
    "swref.energies.Interaction": r"""
        \mathcal F=\sum_{ij}w_iw_jh(x_i,x_j),\qquad g_i=2\sum_jw_j\nabla_{x}h(x_i,x_j)""",
    "swref.energies.Energy": r"g=\nabla\frac{\delta\mathcal F}{\delta\mu}",
    "swref.flow": r"""
        \dot x_i=J(g)_i,\qquad\frac{\dd}{\dd t}\mathcal F(\mu_t)=-N^*(g)^2,
        \qquad g=\nabla\frac{\delta\mathcal F}{\delta\mu}""",
    "swref.gaussian_flows.gaussian_flow": r"\dot m=-P\,b,\qquad\dot\Sig=-(PH\Sig+\Sig HP)",
    "swref.gaussian_flows.kl_flow": r"""
        b=\bar\Sig^{-1}(m-\bar m),\qquad H=\bar\Sig^{-1}-\Sig^{-1},\qquad\dot m=-P\,b,
        \qquad\dot\Sig=-(PH\Sig+\Sig HP)""",
    "swref.gaussian_flows.linear_network_flow": r"""
        H=\begin{pmatrix}0&E\\E^\T&0\end{pmatrix},\qquad E=MC_\rho-B_\rho,\qquad M=\E[uv^\T]""",
    "swref.gaussian_flows.GaussianKL": r"""
        \tfrac12\bigl(\tr C^{-1}\Sig-d-\log\det C^{-1}\Sig+(m-c)^\T C^{-1}(m-c)\bigr)""",
    "swref.gaussian_flows.LinearNetwork": r"""
        \tfrac12\,\E\abs{Mz-y}^2-\min_{M'}\tfrac12\,\E\abs{M'z-y}^2,\qquad M=\E[uv^\T]""",
    "swref.gaussian_flows.Quadratic": r"\tfrac12\,\E\bigl[(x-c)^\T A(x-c)\bigr]",
    "swref.gaussian_flows.modal_flow": r"a_j=s_j+r_j,\qquad b_j=s_j-r_j,\qquad\mathcal F=\tfrac12\sum_j(r_j-\beta_j)^2",
    "swref.gaussian_flows.modal_invariant": r"""
        a^\eta+b^\eta,\quad\eta=\tfrac{p-1}{2p-1}\quad(p>1);\qquad ab\quad(p=1)""",
    # Muon
    "swref.muon.newton_schulz": r"""
        Z_0=G/\alpha,\qquad Z_{j+1}=Z_j\bigl(aI+b\,Z_j^\T Z_j+c\,(Z_j^\T Z_j)^2\bigr)""",
    "swref.muon.response": r"h_k(\sigma/\alpha)",
    "swref.muon.potential": r"\Psi_k(S)=2\sum_i\int_0^{\sigma_i}h_k(s/\alpha)\,\dd s,\qquad\sigma_i^2=\lambda_i(S)",
    "swref.muon.momentum_flow": r"\dot x=J(a),\qquad\tau\,\dot a=g(x)-a",
    "swref.optim.SpectralDescent": r"\theta\leftarrow(1-\eta\lambda)\,\theta+\eta\,D(U)",
    "swref.optim.spectral_distance": r"\W_\gamma(\mu,\nu)^2",
    # convexity and engine
    "swref.convexity.along": r"t\mapsto\mathcal F(\mu_t)",
    "swref.convexity.modulus": r"\kappa=\min_u\frac{u^\T Au}{\gamma(uu^\T)}",
    "swref.convexity.regularized_transport": r"\gamma_\eps=(1-\eps)\,\gamma+\eps\,\ip{Q_0}{\cdot}",
    "swref.convexity.entropy": r"\mathcal H=\int\rho\log\rho\,\dd x",
    "swref.maxmin.solve": r"L\ \le\ \max_{Q\in\K}\W_Q^2=\min_\pi\gamma(\Sig_\pi)\ \le\ U",
    "swref.maxmin.Oracle.evaluate": r"Q\mapsto\bigl(\W_Q^2,\ \Sig_{\pi_Q}\bigr)",
    "swref.experiments.linear_networks.threshold": r"s_0\,2^{p/(p-1)}",
}

# class: gamma(S), a representing set, the dual norm of a matrix of forces; sigma are the singular values of G
GAUGES = {
    "Trace": (r":math:`\tr S`", r":math:`\{I\}`", r":math:`\norm G_F`"),
    "Operator": (r":math:`\lmax(S)`", r":math:`Q\succeq0,\ \tr Q\le1`", r":math:`\norm G_*`"),
    "Schatten": (
        r":math:`\bigl(\sum_i\lambda_i^p\bigr)^{1/p}`",
        r":math:`Q\succeq0,\ \norm Q_{S_{p'}}\le1`",
        r":math:`\norm G_{S_q},\ q=\frac{2p}{2p-1}`",
    ),
    "KyFan": (
        r":math:`\lambda_1+\dots+\lambda_k`",
        r":math:`0\preceq Q\preceq I,\ \tr Q\le k`",
        r":math:`\bigl(\sum_{i\le j}\sigma_i^2+\frac{(\sum_{i>j}\sigma_i)^2}{k-j}\bigr)^{1/2}`",
    ),
    "Linear": (r":math:`\ip{Q_0}S`", r":math:`0\preceq Q\preceq Q_0`", r":math:`\norm{GQ_0^{-1/2}}_F`"),
    "BlockSum": (
        r":math:`\sum_b\gamma_b(S_{bb})/\eta_b^2`",
        r":math:`\sum_b\eta_b^{-2}\K_b`",
        r":math:`\bigl(\sum_b\eta_b^2N_b^*(G_b)^2\bigr)^{1/2}`",
    ),
    "BlockMax": (
        r":math:`\max_b\gamma_b(S_{bb})/\eta_b^2`",
        r":math:`\conv\bigcup_b\eta_b^{-2}\K_b`",
        r":math:`\sum_b\eta_bN_b^*(G_b)`",
    ),
    "RootSchatten": (
        r":math:`\bigl(\sum_i\lambda_i^p\bigr)^{1/p},\ \frac12\le p<1`",
        "none: not convex",
        r":math:`\norm G_{S_q},\ q=\frac{2p}{2p-1}`",
    ),
}
